"""How far results may be apart: one table, by what was done to a model and by element type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What outputs of one element type must keep to; a limit that is None is not asked for.

    elementwise: of each element, relative to itself or to what stands around it. cosine: least cosine of the angle
    between the outputs as vectors. snr: least signal-to-noise ratio in decibels. top1: least share of rows of a
    matrix that have their largest number in the same column.
    """

    elementwise: float | None = None
    cosine: float | None = None
    snr: float | None = None
    top1: float | None = None


# What changes rounding only ("exact") is judged element by element. A sum of n products in a type of unit roundoff u
# may differ by about n * u when it is associated differently (Higham, Accuracy and Stability of Numerical Algorithms,
# 3.1): n * u is 1e-4 for float32 at the longest sums of real layers (n about 2e3). Kernels add up float16 and bfloat16
# in float32 and round each result, so that only the number of layers counts (about 20 * u).
#
# What changes numbers on purpose ("lossy": reduced precision, codes, compression) moves every element a little; what
# counts is the whole. 20 dB is an error of a tenth of the signal, about what 8-bit codes leave after many layers.
LIMITS: dict[str, dict[str, Limits]] = {
    "exact": {
        "float64": Limits(1e-9), "float32": Limits(1e-4), "float16": Limits(1e-2), "bfloat16": Limits(8e-2),
    },
    "lossy": {
        dtype: Limits(None, 0.99, 20.0, 0.95) for dtype in ("float64", "float32", "float16", "bfloat16")
    },
}  # fmt: skip
EFFECTS = tuple(LIMITS)
TOLERANCES: dict[str, float] = {
    dtype: limits.elementwise for dtype, limits in LIMITS["exact"].items() if limits.elementwise is not None
}
