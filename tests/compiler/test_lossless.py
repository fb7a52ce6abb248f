"""Load, run no pass, save: every field is what it was, on every model at hand."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import pytest
from onnx.backend.test.case.node import collect_testcases
from survival import assert_same, assert_survives

from planish.compiler.reading import load
from planish.compiler.saving import save
from planish.models import BUILDERS, TRAINED, build, trained

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"


def test_every_node_case_of_onnx(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    assert len(cases) > 1000
    changed = []
    for case in cases:
        try:
            assert_survives(case.model, tmp_path)
        except Exception as error:
            changed.append(f"{case.name}: {type(error).__name__} {error}")
    assert not changed, "\n".join(changed[:20])


@pytest.mark.parametrize("path", sorted(DATA.rglob("*.onnx")), ids=lambda path: path.relative_to(DATA).as_posix())
def test_every_file_of_onnx(path: Path, tmp_path: Path) -> None:
    assert_survives(onnx.load(path), tmp_path)
    save(load(path), tmp_path / "from_file.onnx")
    assert_same(onnx.load(tmp_path / "from_file.onnx"), onnx.load(path))


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_builder(name: str, tmp_path: Path) -> None:
    assert_survives(build(name), tmp_path)


@pytest.mark.parametrize("name", sorted(TRAINED))
def test_every_trained_model(name: str, tmp_path: Path) -> None:
    assert_survives(onnx.load(trained(name)), tmp_path)
