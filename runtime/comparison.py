"""Whether two outputs are the same up to rounding.

Our own checks come first (presence, type, shape, places of NaN and infinity), because Polygraphy's comparison passes
when an output is missing or of another type; the numbers are then compared by Polygraphy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from polygraphy import comparator
from polygraphy.comparator import IterationResult
from polygraphy.logger import G_LOGGER

from .tolerances import TOLERANCES

G_LOGGER.module_severity = G_LOGGER.CRITICAL

_FLOOR = 1e-2  # part of the whole output's scale below which the scale of a part of it does not count


@dataclass(frozen=True)
class OutputError:
    """How far an output is off: the worst over all samples, in absolute numbers and relative to the output's scale."""

    name: str
    absolute: float
    relative: float


@dataclass(frozen=True)
class Comparison:
    """Of one output on one sample. problem: what is wrong, "" if nothing. error: of a floating output."""

    problem: str = ""
    error: OutputError | None = None


def compare_output(name: str, want: Any, got: Any, tolerance: float | None = None) -> Comparison:
    """Compare an output of the original with that of the optimized model. 0.0 and -0.0 are the same.

    Args:
        tolerance: of floating elements, instead of that of their type.
    """
    if isinstance(want, list | tuple) or isinstance(got, list | tuple):
        return _compare_sequences(name, want, got, tolerance)
    if isinstance(want, dict) and isinstance(got, dict):
        return _compare_maps(name, want, got, tolerance)
    if want is None or got is None or isinstance(want, dict) or isinstance(got, dict):
        return Comparison("" if identical(want, got) else "values differ")
    want, got = np.asarray(want), np.asarray(got)
    if want.dtype != got.dtype:
        return Comparison(f"type {want.dtype} became {got.dtype}")
    if want.shape != got.shape:
        return Comparison(f"shape {list(want.shape)} became {list(got.shape)}")
    if want.dtype.name not in TOLERANCES:
        different = int(differ(want, got).sum())
        return Comparison(f"{different} of {want.size} elements differ" if different else "")
    return _compare_floats(name, want, got, TOLERANCES[want.dtype.name] if tolerance is None else tolerance)


def differ(want: np.ndarray, got: np.ndarray) -> np.ndarray:
    """Where elements are not the same; NaN, which float8 has too, is the same as NaN."""
    return np.asarray((want != got) & ((want == want) | (got == got)))


def _compare_sequences(name: str, want: Any, got: Any, tolerance: float | None) -> Comparison:
    if not isinstance(want, list | tuple) or not isinstance(got, list | tuple) or len(want) != len(got):
        return Comparison("the sequence has another length")
    found = [compare_output(name, a, b, tolerance) for a, b in zip(want, got, strict=True)]
    wrong = next((one for one in found if one.problem), None)
    if wrong is not None:
        return Comparison(wrong.problem)
    errors = [one.error for one in found if one.error is not None]
    return Comparison("", max(errors, key=lambda e: e.relative, default=None))


def _compare_maps(name: str, want: dict, got: dict, tolerance: float | None) -> Comparison:
    if list(want) != list(got):
        return Comparison("the map has other keys")
    values = [np.array(list(one.values())) for one in (want, got)]
    if values[0].dtype == np.float64:  # how Python holds the float32 numbers of a map
        values = [v.astype(np.float32) for v in values]
    return compare_output(name, values[0], values[1], tolerance)


def _compare_floats(name: str, want: np.ndarray, got: np.ndarray, tolerance: float) -> Comparison:
    reference, result = want.astype(np.float64), got.astype(np.float64)
    if not np.array_equal(np.isnan(reference), np.isnan(result)):
        return Comparison("NaN stands in other places")
    infinite = np.isinf(reference) | np.isinf(result)
    if not np.array_equal(reference[infinite], result[infinite]):
        return Comparison("infinity stands in other places")
    finite = np.isfinite(reference)
    scale = local_scale(reference)[finite]
    reference, result = reference[finite], result[finite]
    if np.array_equal(reference, result):
        return Comparison("", OutputError(name, 0.0, 0.0))
    largest = float(np.abs(reference).max())
    worst = float(np.abs(reference - result).max())
    error = OutputError(name, worst, worst / largest if largest else np.inf)
    if not largest:
        return Comparison(f"zeros became up to {worst:.3g}", error)
    if _polygraphy_agrees(name, reference / scale, result / scale, tolerance):
        return Comparison("", error)
    return Comparison(f"largest difference {worst:.3g} at a scale of {largest:.3g}", error)


def _polygraphy_agrees(name: str, reference: np.ndarray, result: np.ndarray, tolerance: float) -> bool:
    """True if every element is within the tolerance, absolutely or relative to itself."""
    options = {"rtol": tolerance, "atol": tolerance, "check_error_stat": "elemwise"}
    renamed = getattr(comparator, "SimpleCompareFunc", None)  # its name from 0.50 on
    comparison = renamed(**options) if renamed is not None else comparator.CompareFunc.simple(**options)
    verdict = comparison(IterationResult({name: result}), IterationResult({name: reference}))
    return bool(verdict) and all(bool(one) for one in verdict.values())


def local_scale(reference: np.ndarray) -> np.ndarray:
    """For each element the magnitude of what stands around it, so that channels of unlike size are judged alike.

    Along each axis, the largest magnitude of all elements with the same index there; of these the smallest, but not
    less than a hundredth of the largest of all.
    """
    magnitude = np.abs(np.where(np.isfinite(reference), reference, 0))
    largest = magnitude.max(initial=0.0)
    scale = np.full(reference.shape, largest)
    for axis in range(reference.ndim if reference.ndim > 1 else 0):
        others = tuple(a for a in range(reference.ndim) if a != axis)
        np.minimum(scale, magnitude.max(axis=others, keepdims=True, initial=0.0), out=scale)
    np.maximum(scale, max(_FLOOR * largest, np.finfo(np.float64).tiny), out=scale)
    return scale


def identical(a: Any, b: Any) -> bool:
    """True if two outputs have the same type, shape and bits."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        return a.tobytes() == b.tobytes() if a.dtype != object else bool((a == b).all())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)
