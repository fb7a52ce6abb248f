"""What `optimize` is asked to do, checked before any work begins."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ..compiler.errors import OptionError
from ..compiler.graph_pass import Pass
from .interface import Dims, parse_shape

VERIFY = ("off", "final", "each")
TARGETS = ("onnx", "ort", "tensorrt")

Names: TypeAlias = str | Sequence[str]
InputShapes: TypeAlias = Mapping[str, Dims] | Sequence[str]
Plugin: TypeAlias = str | Path | type[Pass]
Progress: TypeAlias = Callable[[str, float], None]


@dataclass(frozen=True)
class Options:
    """Checked options; `planish.optimize` says what each means and what its default is."""

    passes: str | None
    skip: tuple[str, ...]
    target: str
    opset: int | None
    verify: str
    samples: Path | None
    seed: int
    outputs: tuple[str, ...]
    drop_outputs: tuple[str, ...]
    input_shapes: dict[str, Dims]
    freeze: bool
    plugins: tuple[Plugin, ...]
    fold_budget: int
    fuel: int | None
    reproducer: Path | None
    progress: Progress | None

    def __post_init__(self) -> None:
        one_of("verify", self.verify, VERIFY)
        one_of("target", self.target, TARGETS)
        for name, number in (("opset", self.opset), ("fuel", self.fuel), ("seed", self.seed)):
            if number is not None and (not isinstance(number, int) or number < 0):
                raise OptionError(f"{name} must be a number from 0 on, not {number!r}")


def one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raise OptionError if an option has none of its allowed values."""
    if value not in allowed:
        raise OptionError(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {value!r}")


def name_list(option: str, given: Names) -> tuple[str, ...]:
    """Names from a list, or from one text with commas between them."""
    if isinstance(given, str):
        given = given.split(",")
    if not all(isinstance(name, str) for name in given):
        raise OptionError(f"{option} must be names, not {given!r}")
    return tuple(name.strip() for name in given if name.strip())


def shape_map(given: InputShapes) -> dict[str, Dims]:
    """Dimensions by input name, from a mapping or from texts like "x:1,3,224,224"."""
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping):
        return {name: tuple(dims) for name, dims in given.items()}
    return dict(parse_shape(text) for text in given)


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def byte_count(option: str, given: int | str) -> int:
    """A number of bytes from a number or a text like "16MiB" or "2 GB"."""
    match = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]*)\s*", str(given))
    if match is None or match[2].upper() not in _UNITS:
        raise OptionError(f"{option} must be a number of bytes, not {given!r}", hint="write it as 16MiB or 2GB")
    return int(match[1]) * _UNITS[match[2].upper()]


def refuse_unknown(unknown: Mapping[str, object], known: Sequence[str]) -> None:
    """Raise OptionError for a keyword that no option has, with the one that was probably meant."""
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"options: {', '.join(known)}"
        raise OptionError(f"optimize has no option '{name}'", hint=hint)
