"""There are enough cases of what must not be done, and they are spread over what is known to go wrong."""

from __future__ import annotations

import importlib
from pathlib import Path

from golden.cases import FOLDER, read

FAMILIES = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))


def count(family: str) -> int:
    return len(importlib.import_module(f"legality.{family}").CASES)


def test_every_family_has_its_cases() -> None:
    assert len(FAMILIES) >= 14
    assert {family: count(family) for family in FAMILIES if count(family) < 15} == {}


def test_there_are_enough_tempting_rewrites() -> None:
    assert sum(map(count, FAMILIES)) >= 400


def test_there_are_enough_refusals() -> None:
    refusals = [case for path in FOLDER.glob("*.txt") for case in read(path) if case.missed]
    assert len(refusals) >= 500
    assert len({case.file.stem for case in refusals}) >= 70, "passes that refuse nothing"
