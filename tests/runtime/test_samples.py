"""The inputs that proofs draw by themselves."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest
from onnx import TensorProto, helper

from planish.runtime.samples import KINDS, Sample, draw, offer_samples


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (2, 3)], ids=str)
@pytest.mark.parametrize(
    "dtype",
    [
        TensorProto.BOOL, TensorProto.INT64, TensorProto.UINT8, TensorProto.FLOAT, TensorProto.FLOAT16,
        TensorProto.BFLOAT16, TensorProto.STRING,
    ],
)  # fmt: skip
def test_every_input_is_an_array_of_its_type_and_shape(dtype: int, shape: tuple[int, ...], kind: str) -> None:
    array = draw(np.random.default_rng(0), dtype, shape, kind)
    assert isinstance(array, np.ndarray)
    assert array.shape == shape
    assert array.dtype == helper.tensor_dtype_to_np_dtype(dtype)


def parsed(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model('<ir_version: 9, opset_import: ["" : 17]>\n' + text)


def offered(text: str | onnx.ModelProto, accepts: object = None, stop: int = 1000) -> tuple[list[Sample], str]:
    """The samples that are drawn for a model, whose inputs a function judges; and the last failure."""
    model = parsed(text) if isinstance(text, str) else text
    taken: list[Sample] = []

    def attempt(sample: Sample) -> str:
        if callable(accepts) and not accepts(**sample.feeds):
            return "no"
        taken.append(sample)
        return ""

    failure = offer_samples(model, 0, None, attempt, lambda: len(taken) >= stop)
    return taken, failure


def test_a_fixed_shape_is_drawn_once_with_every_kind() -> None:
    taken, failure = offered("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }")
    assert [sample.kind for sample in taken] == list(KINDS)
    assert not failure


def test_every_symbol_gets_two_sizes_and_one() -> None:
    taken, _ = offered("g (float[N,C,H,W] x) => (float[N,C,H,W] y) { y = Relu(x) }")
    for name in "NCHW":
        assert len({sample.sizes[name] for sample in taken}) >= 3
        assert any(sample.sizes[name] == 1 for sample in taken)
    sizes = taken[0].sizes
    assert len({sizes["C"], sizes["H"], sizes["W"]}) == 3, "equal sizes hide an exchange of two dimensions"


def test_sizes_that_a_model_insists_on_are_found() -> None:
    taken, _ = offered(
        "g (float[N,3,H,W] x) => (float[N,3,H,W] y) { y = Relu(x) }",
        lambda x: x.shape[2] % 32 == 0 and x.shape[3] % 32 == 0,
    )
    assert len({sample.sizes["H"] for sample in taken}) >= 2


def test_a_symbol_that_allows_one_size_does_not_keep_the_others_from_two() -> None:
    taken, _ = offered("g (float[N,H] x) => (float[N,H] y) { y = Relu(x) }", lambda x: x.shape[0] == 1)
    assert len({sample.sizes["H"] for sample in taken}) >= 2


def test_dimensions_that_are_expressions() -> None:
    model = parsed("g (float[N,past] x, float[N,later] m) => (float[N,past] y) { y = Relu(x) }")
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_param = "past + 1"
    taken, _ = offered(model)
    assert all(s.feeds["m"].shape[1] == s.feeds["x"].shape[1] + 1 for s in taken)


def test_dimensions_that_must_add_up() -> None:
    taken, _ = offered(
        "g (float[N,P] x, float[N,S] z, float[N,T] m) => (float[N,P] y) { y = Relu(x) }",
        lambda x, z, m: x.shape[1] + z.shape[1] == m.shape[1],
    )
    assert taken


def test_unknown_ranks_are_tried() -> None:
    taken, _ = offered("g (float[] x) => (float[] y) { y = Relu(x) }", lambda x: x.ndim == 3)
    assert taken[0].feeds["x"].ndim == 3


def test_indices_stay_within_their_table() -> None:
    text = """g (int64[N,S] ids) => (float[N,S,4] y) <float[5,4] table = {0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}> {
        shifted = Cast<to = 7>(ids)
        y = Gather(table, shifted)
    }"""
    taken, _ = offered(text)
    assert max(int(sample.feeds["ids"].max()) for sample in taken) == 4
    assert min(int(sample.feeds["ids"].min()) for sample in taken) == 0


def test_indices_that_nothing_explains_get_smaller_until_they_fit() -> None:
    taken, _ = offered("g (int64[N] i) => (int64[N] y) { y = Abs(i) }", lambda i: bool(((i >= 0) & (i < 2)).all()))
    assert taken


def test_sizes_stay_small() -> None:
    taken, _ = offered("g (int64[1] n) => (float[M] y) { y = ConstantOfShape(n) }")
    assert max(int(sample.feeds["n"].max()) for sample in taken) <= 3


def test_integers_that_only_take_part_in_arithmetic_reach_the_edges_of_their_type() -> None:
    taken, _ = offered("g (int32[8] x) => (int32[8] y) { y = Mul(x, x) }")
    values = np.concatenate([sample.feeds["x"] for sample in taken])
    assert values.min() < -(2**30)
    assert values.max() > 2**30


def test_divisors_are_never_zero() -> None:
    taken, _ = offered("g (int32[8] x, int32[8] z) => (int32[8] y) { y = Div(x, z) }")
    assert all((sample.feeds["z"] > 0).all() for sample in taken)


def test_numbers_that_a_model_asks_for_are_drawn() -> None:
    text = "g (int64 rate) => (bool y) <int64 wanted = {16000}> { y = Equal(rate, wanted) }"
    taken, _ = offered(text)
    assert {int(sample.feeds["rate"]) for sample in taken} >= {0, 16000}


def test_nan_is_among_the_floats_where_it_is_defined() -> None:
    taken, _ = offered("g (float[20,20] x) => (float[20,20] y) { y = Relu(x) }")
    assert np.isnan(next(sample for sample in taken if sample.kind == "nan").feeds["x"]).any()
    taken, _ = offered("g (float[20,20] x) => (float[20,20] y) { y = ReduceMax<axes = [0]>(x) }")
    assert not any(sample.kind == "nan" for sample in taken)


def test_sums_of_integers_do_not_overflow() -> None:
    taken, _ = offered("g (int32[N,8] x) => (int32[N,1] y) <int64[1] a = {1}> { y = ReduceSum(x, a) }")
    assert max(int(np.abs(sample.feeds["x"]).max()) for sample in taken) < 2**20


def test_a_model_that_runs_only_where_a_condition_is_false_gets_one() -> None:
    taken, _ = offered("g (float[N] x, bool c) => (float[N] y) { y = Relu(x) }", lambda x, c: not c)
    assert taken


def test_sequences_are_drawn() -> None:
    text = "g (seq(float[N,3]) x) => (float[M,3] y) { y = ConcatFromSequence<axis = 0>(x) }"
    taken, _ = offered(text)
    assert isinstance(taken[0].feeds["x"], list)


def test_the_search_ends_when_it_is_told_to() -> None:
    taken, _ = offered("g (float[N,C] x) => (float[N,C] y) { y = Relu(x) }", stop=3)
    assert len(taken) == 3


def test_a_model_that_takes_nothing_says_why() -> None:
    taken, failure = offered("g (float[N,C] x) => (float[N,C] y) { y = Relu(x) }", lambda x: False)
    assert not taken
    assert failure == "no"
