"""How far outputs are apart, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..tolerances import TOLERANCES


@dataclass
class Measures:
    """Of one output, the worst over all samples; None where a measure means nothing.

    absolute, relative: largest difference, also relative to the largest number. cosine: of the angle between the
    outputs as vectors. snr: signal-to-noise ratio in decibels, infinite where nothing differs. top1: share of rows of
    a matrix whose largest number stands in the same column.
    """

    absolute: float | None = None
    relative: float | None = None
    cosine: float | None = None
    snr: float | None = None
    top1: float | None = None

    def add(self, other: Measures) -> None:
        """Keep the worse of both."""
        for name, value in asdict(other).items():
            own = getattr(self, name)
            if value is not None:
                worse = max if name in ("absolute", "relative") else min
                setattr(self, name, value if own is None else worse(own, value))


def measure(want: Any, got: Any) -> Measures:
    """Compare two outputs; nothing is measured of what is no floating tensor, or not of one type and shape."""
    if not isinstance(want, np.ndarray) or not isinstance(got, np.ndarray) or want.dtype.name not in TOLERANCES:
        return Measures()
    if want.dtype != got.dtype or want.shape != got.shape or not want.size:
        return Measures()
    reference, result = want.astype(np.float64), got.astype(np.float64)
    found = Measures(top1=_top1(reference, result))
    finite = np.isfinite(reference) & np.isfinite(result)
    reference, result = reference[finite], result[finite]
    if not reference.size:
        return found
    found.absolute = float(np.abs(reference - result).max())
    largest = float(np.abs(reference).max())
    found.relative = found.absolute / largest if largest else (0.0 if not found.absolute else float("inf"))
    signal, noise = float(reference @ reference), float((reference - result) @ (reference - result))
    with np.errstate(divide="ignore"):
        found.snr = float("inf") if not noise else float(10 * np.log10(signal / noise))
    lengths = np.sqrt(signal * float(result @ result))
    found.cosine = float(reference @ result / lengths) if lengths else (1.0 if not noise else 0.0)
    return found


def _top1(reference: np.ndarray, result: np.ndarray) -> float | None:
    if reference.ndim != 2 or reference.shape[1] < 2:
        return None
    chosen = np.take_along_axis(reference, result.argmax(1)[:, None], 1)[:, 0]  # of equal numbers any one will do
    return float((chosen == reference.max(1)).mean()) if np.isfinite(reference).all() else None
