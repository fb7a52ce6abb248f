"""What the original's own sensitivity to rounding excuses, and what it does not."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx.parser
import pytest
from onnx import ModelProto, numpy_helper

from planish.runtime.parity import Reference
from planish.runtime.rounding import Neighbours, moved, neighbour

RNG = np.random.default_rng(0)
WANT = RNG.standard_normal((50, 20)).astype(np.float32)


def noisy(scale: float, seed: int, where: np.ndarray | None = None) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(WANT.shape).astype(np.float32) * np.float32(scale)
    return WANT + (noise if where is None else noise * where)


def explains(got: np.ndarray, others: list[np.ndarray], want: np.ndarray = WANT) -> bool:
    return Neighbours(["y"], [[other] for other in others]).explain("y", want, got)


def changed(array: np.ndarray, value: float) -> np.ndarray:
    copy = array.copy()
    copy.flat[7] = value
    return copy


NOISE = [noisy(1e-3, seed) for seed in range(1, 7)]


def test_a_difference_like_the_originals_own_is_excused() -> None:
    assert explains(noisy(1e-3, 9), NOISE)


@pytest.mark.parametrize(
    "got",
    [
        WANT + np.float32(8e-3),  # a bias is missing everywhere, twice as large as the largest noise
        noisy(1e-2, 9),  # ten times the noise
        changed(WANT, 9.0),  # one element
        changed(noisy(1e-3, 9), np.nan),
        changed(noisy(1e-3, 9), np.inf),
        WANT.astype(np.float64),
        WANT[:, :10],
        -WANT,
    ],
)
def test_other_differences_are_not(got: np.ndarray) -> None:
    assert not explains(got, NOISE)


def test_outputs_of_rank_0() -> None:
    want = np.array(1.0, np.float32)
    others = [np.array(1.001, np.float32), np.array(np.nan, np.float32)]
    assert explains(np.array(1.002, np.float32), others[:1], want)
    assert not explains(np.array(2.0, np.float32), others[:1], want)
    assert explains(np.array(np.nan, np.float32), others, want)


def test_where_the_original_is_steady_nothing_is_excused() -> None:
    steady = [WANT.copy() for _ in range(6)]
    assert not explains(noisy(1e-3, 9), steady)
    assert not explains(changed(WANT, WANT.flat[7] * 1.01), steady)


def test_noise_in_one_place_excuses_nothing_elsewhere() -> None:
    half = np.zeros(WANT.shape, np.float32)
    half[:, :10] = 1
    others = [noisy(1e-1, seed, half) for seed in range(1, 7)]
    assert explains(noisy(1e-1, 9, half), others)
    assert not explains(noisy(1.0, 9, 1 - half), others)


def test_more_elements_than_in_the_original_are_not_excused() -> None:
    few = (np.random.default_rng(5).random(WANT.shape) < 0.02).astype(np.float32)
    others = [noisy(1e-1, seed, few) for seed in range(1, 7)]
    assert explains(noisy(1e-1, 9, few), others)
    assert not explains(noisy(1e-1, 9), others)


CODES = RNG.integers(0, 100, 400)


def flipped(count: int, seed: int, amount: int = 1, among: int = 400) -> np.ndarray:
    copy = CODES.copy()
    copy[np.random.default_rng(seed).choice(among, count, replace=False)] += amount
    return copy


def test_ties_flip_where_the_original_flips_them() -> None:
    others = [flipped(8, seed, amount=30, among=10) for seed in range(1, 7)]
    assert explains(flipped(8, 9, amount=-17, among=10), others, CODES)


def test_quantization_steps_flip_anywhere_but_by_as_little() -> None:
    others = [flipped(20, seed) for seed in range(1, 7)]
    assert explains(flipped(20, 9), others, CODES)
    assert not explains(flipped(20, 9, amount=5), others, CODES)
    assert not explains(flipped(90, 9), others, CODES)


def test_codes_that_do_not_flip_are_exact() -> None:
    assert not explains(flipped(1, 9), [CODES.copy() for _ in range(6)], CODES)


def test_weights_are_moved_in_their_last_places_and_small_constants_are_not() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> g (float[N,8] x) => (float[N,8] y) <float[8,8] w, float two = {2}> {'
        "  t = MatMul(x, w) y = Pow(t, two) }"
    )
    info = model.graph.value_info[0]
    model.graph.initializer.append(numpy_helper.from_array(WANT[:8, :8], info.name))
    copy = neighbour(model, np.random.default_rng(0))
    arrays = {t.name: numpy_helper.to_array(t) for t in copy.graph.initializer}
    assert arrays["two"] == 2
    assert (arrays["w"] != WANT[:8, :8]).any()
    np.testing.assert_allclose(arrays["w"], WANT[:8, :8], rtol=2e-6)


def test_only_floats_are_moved() -> None:
    generator = np.random.default_rng(0)
    assert moved(CODES, generator) is CODES
    assert moved("word", generator) == "word"


def ill_conditioned(*steps: str) -> ModelProto:
    """The variance of numbers whose mean is far larger, by the difference of two large numbers."""
    return onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> g (float[N,64] x) => (float[N,1] y)'
        "<float[64] far, int64[1] a = {1}> {" + " ".join(steps) + "}"
    )


def weighted(model: ModelProto) -> ModelProto:
    model.graph.initializer.append(numpy_helper.from_array(np.full(64, 300, np.float32), "far"))
    return model


HEAD = ("s = Add(x, far)", "q = Mul(s, s)", "m = ReduceMean(s, a)", "mm = Mul(m, m)", "e = ReduceMean(q, a)")


def test_an_ill_conditioned_output_is_judged_by_its_own_sensitivity() -> None:
    reference = Reference(weighted(ill_conditioned(*HEAD, "y = Sub(e, mm)")))
    otherwise = weighted(
        ill_conditioned("s = Add(far, x)", "m = ReduceMean(s, a)", "mm = Mul(m, m)", "e = ReduceSumSquare(s, a)",
                        "n = Constant<value_float = 64.0>()", "d = Div(e, n)", "y = Sub(d, mm)")
    )  # fmt: skip
    report = reference.compare(otherwise)
    assert report.status == "proven", report.reason
    assert any("rounded otherwise" in note for note in report.notes)
    assert report.worst < 1e-3, "the worst error is that of the inputs on which the numbers are certain"


def test_an_ill_conditioned_output_that_is_wrong_is_not_excused() -> None:
    reference = Reference(weighted(ill_conditioned(*HEAD, "y = Sub(e, mm)")))
    report = reference.compare(weighted(ill_conditioned(*HEAD, "d = Sub(e, mm)", "y = Add(d, d)")))
    assert report.status == "mismatch"


def test_nan_of_narrow_floats_is_no_flip() -> None:
    want = np.array([np.nan, 1, 2], ml_dtypes.float8_e4m3fn)
    got = np.array([448, 1, 2], ml_dtypes.float8_e4m3fn)
    assert not explains(got, [want.copy() for _ in range(4)], want)
