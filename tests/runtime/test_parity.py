"""What the comparison of two outputs takes for the same, and what it does not."""

from __future__ import annotations

import numpy as np
import pytest

from planish.runtime.comparison import compare_output

ONES = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def changed(array: np.ndarray, value: float) -> np.ndarray:
    copy = array.copy()
    copy.flat[5] = value
    return copy


@pytest.mark.parametrize(
    "want, got",
    [
        (ONES, ONES.astype(np.float64)),
        (ONES, ONES.astype(np.float16)),
        (ONES, ONES.reshape(4, 3)),
        (ONES, ONES[None]),
        (ONES, changed(ONES, ONES.flat[5] + 1e-2)),
        (ONES, changed(ONES, np.nan)),
        (changed(ONES, np.nan), ONES),
        (changed(ONES, np.inf), changed(ONES, -np.inf)),
        (changed(ONES, np.inf), changed(ONES, 3e38)),
        (np.zeros((2, 2), np.float32), np.full((2, 2), 1e-6, np.float32)),
        (np.arange(4), np.array([0, 1, 2, 4])),
        (np.array([True, False]), np.array([True, True])),
        (np.array(["a", "b"], object), np.array(["a", "c"], object)),
        ([ONES], [ONES, ONES]),
        ([ONES], [ONES + 1]),
        ([ONES], ONES),
        (None, ONES),
        (ONES, None),
    ],
)
def test_differences_are_seen(want: object, got: object) -> None:
    assert compare_output("y", want, got).problem


@pytest.mark.parametrize(
    "want, got",
    [
        (ONES, ONES.copy()),
        (ONES, ONES * np.float32(1 + 1e-6)),
        (changed(ONES, np.nan), changed(ONES, np.nan)),
        (changed(ONES, -np.inf), changed(ONES, -np.inf)),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)),
        (np.float32(0.0), np.float32(-0.0)),
        (np.array(["a"], object), np.array(["a"], object)),
        ([], []),
        (None, None),
    ],
)
def test_rounding_is_no_difference(want: object, got: object) -> None:
    assert not compare_output("y", want, got).problem
