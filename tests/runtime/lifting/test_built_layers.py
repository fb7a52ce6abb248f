"""What a network can say and the parser does not: built layer by layer, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from planish.compiler.errors import UnsupportedModelError

from .networks import Built, run_built

X = np.arange(24, dtype=np.float32).reshape(4, 6)


def one(make: Any, x: np.ndarray = X) -> np.ndarray:
    return run_built(make, x)[0]


def slice_in(mode: str, start: tuple, size: tuple, stride: tuple) -> np.ndarray:
    def make(built: Built, x: Any) -> Any:
        layer = built.network.add_slice(x, start, size, stride)
        layer.mode = getattr(built.trt.SampleMode, mode)
        if mode == "FILL":
            layer.set_input(4, built.constant(np.array(9, np.float32)))
        return layer

    return one(make)


@pytest.mark.parametrize(("mode", "padded"), [("WRAP", "wrap"), ("CLAMP", "edge"), ("REFLECT", "reflect")])
def test_slices_beyond_the_ends(mode: str, padded: str) -> None:
    want = np.pad(X, ((2, 2), (3, 3)), mode=padded)  # type: ignore[call-overload]
    np.testing.assert_array_equal(slice_in(mode, (-2, -3), (8, 12), (1, 1)), want)
    np.testing.assert_array_equal(slice_in(mode, (-2, 8), (4, 4), (2, -3)), want[0:8:2, 11::-3][:, :4])


def test_slices_beyond_the_ends_are_filled() -> None:
    want = np.pad(X, ((1, 1), (2, 0)), constant_values=9)
    np.testing.assert_array_equal(slice_in("FILL", (-1, -2), (6, 8), (1, 1)), want)
    np.testing.assert_array_equal(slice_in("FILL", (4, 5), (3, 4), (-2, -2)), want[5::-2, 7::-2])


def test_a_slice_of_stride_0_repeats() -> None:
    np.testing.assert_array_equal(slice_in("STRICT_BOUNDS", (1, 2), (3, 2), (0, 1)), np.repeat(X[1:2, 2:4], 3, 0))


def test_a_slice_backwards_reaches_the_first_element() -> None:
    np.testing.assert_array_equal(slice_in("STRICT_BOUNDS", (3, 5), (4, 6), (-1, -1)), X[::-1, ::-1])


def test_a_slice_of_axes_that_are_a_tensor() -> None:
    def make(built: Built, x: Any) -> Any:
        layer = built.network.add_slice(x, (1,), (3,), (2,))
        layer.set_input(5, built.constant(np.array([1], np.int32)))
        return layer

    np.testing.assert_array_equal(one(make), X[:, 1:7:2])


def test_gathering_for_each_batch() -> None:
    def make(built: Built, x: Any) -> Any:
        layer = built.network.add_gather(x, built.constant(np.array([[1, 5], [0, 0], [2, 3], [4, 1]], np.int32)), 1)
        layer.num_elementwise_dims = 1
        return layer

    np.testing.assert_array_equal(one(make), np.take_along_axis(X, np.array([[1, 5], [0, 0], [2, 3], [4, 1]]), 1))


def test_a_pool_that_blends() -> None:
    def make(built: Built, x: Any) -> Any:
        layer = built.network.add_pooling_nd(x, built.trt.PoolingType.MAX_AVERAGE_BLEND, (2, 2))
        layer.stride_nd, layer.blend_factor = (2, 2), 0.25
        return layer

    x = X.reshape(1, 1, 4, 6)
    windows = x.reshape(1, 1, 2, 2, 3, 2).transpose(0, 1, 2, 4, 3, 5).reshape(1, 1, 2, 3, 4)
    np.testing.assert_allclose(one(make, x), 0.75 * windows.max(-1) + 0.25 * windows.mean(-1), rtol=1e-6)


def test_a_scale_to_a_power() -> None:
    scale, shift, power = (np.array(v, np.float32) for v in ([1, 2, 3], [1, 0, 1], [1, 2, 1]))

    def make(built: Built, x: Any) -> Any:
        built.kept += [scale, shift, power]
        weights = [built.trt.Weights(a) for a in (shift, scale, power)]
        return built.network.add_scale_nd(x, built.trt.ScaleMode.CHANNEL, *weights, 1)

    x = X.reshape(1, 3, 2, 4)
    of = (1, 3, 1, 1)
    want = (x * scale.reshape(of) + shift.reshape(of)) ** power.reshape(of)
    np.testing.assert_allclose(one(make, x), want, rtol=1e-6)


@pytest.mark.parametrize(("kind", "alpha", "beta", "want"), [
    ("SCALED_TANH", 2.0, 0.5, lambda x: 2 * np.tanh(0.5 * x)),
    ("SOFTPLUS", 2.0, 0.5, lambda x: 2 * np.log1p(np.exp(0.5 * x))),
    ("SELU", 1.5, 2.0, lambda x: 2 * np.where(x > 0, x, 1.5 * np.exp(x) - 1.5)),
    ("CLIP", -1.0, 0.5, lambda x: np.clip(x, -1, 0.5)),
])  # fmt: skip
def test_activations_with_two_parameters(kind: str, alpha: float, beta: float, want: Any) -> None:
    def make(built: Built, x: Any) -> Any:
        layer = built.network.add_activation(x, getattr(built.trt.ActivationType, kind))
        layer.alpha, layer.beta = alpha, beta
        return layer

    x = np.linspace(-2, 2, 9, dtype=np.float32)
    np.testing.assert_allclose(one(make, x), want(x), rtol=1e-5)


def test_padding_cuts_where_it_is_negative() -> None:
    x = X.reshape(1, 1, 4, 6)
    got = one(lambda built, t: built.network.add_padding_nd(t, (-1, 1), (0, -2)), x)
    np.testing.assert_array_equal(got, np.pad(x[:, :, 1:, :-2], ((0, 0), (0, 0), (0, 0), (1, 0))))


def test_where_elements_are_not_zero() -> None:
    x = (X.reshape(4, 6) % 5 == 0).astype(np.float32)

    def make(built: Built, t: Any) -> Any:
        return built.network.add_non_zero(t)

    assert sorted(map(tuple, one(make, x).T)) == sorted(map(tuple, np.argwhere(x)))


def test_a_shuffle_transposes_reshapes_and_transposes() -> None:
    def make(built: Built, x: Any) -> Any:
        layer = built.network.add_shuffle(x)
        layer.first_transpose, layer.reshape_dims, layer.second_transpose = (1, 0), (2, 3, 4), (2, 0, 1)
        return layer

    np.testing.assert_array_equal(one(make), X.T.reshape(2, 3, 4).transpose(2, 0, 1))


def test_one_of_two_flags() -> None:
    flags = X > 9

    def make(built: Built, x: Any) -> Any:
        return built.network.add_select(x, built.constant(flags), built.constant(~flags))

    np.testing.assert_array_equal(one(make, X % 2 == 0), np.where(X % 2 == 0, flags, ~flags))


def test_random_numbers_are_in_their_range() -> None:
    def make(built: Built, x: Any) -> Any:
        layer = built.network.add_fill((4, 6), built.trt.FillOperation.RANDOM_UNIFORM, built.trt.float32)
        layer.set_alpha(2.0) if hasattr(layer, "set_alpha") else setattr(layer, "alpha", 2.0)
        layer.beta = 3.0
        return built.network.add_elementwise(x, layer.get_output(0), built.trt.ElementWiseOperation.SUM)

    drawn = one(make, np.zeros((4, 6), np.float32))
    assert ((drawn >= 2) & (drawn <= 3)).all() and drawn.std() > 0.1


def test_what_cannot_be_lifted_is_named() -> None:
    def make(built: Built, x: Any) -> Any:
        layer = built.network.add_ragged_softmax(x, built.constant(np.array([[1], [2], [3], [4]], np.int32)))
        layer.name = "the ragged one"
        return layer

    with pytest.raises(UnsupportedModelError, match="RAGGED_SOFTMAX layer 'the ragged one' cannot be lifted"):
        one(make)
