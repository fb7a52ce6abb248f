"""Rules of reductions, argument searches and sorting."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from planish.compiler.inference import infer_model
from planish.compiler.reading import load

OPS = frozenset({
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceSumSquare", "ArgMax", "ArgMin", "TopK", "CumSum", "CumProd",
})  # fmt: skip


def test_claims_hold_for_the_backend_cases(check_backend):
    compared, found = check_backend(OPS)
    assert compared > 150
    assert not found, "\n".join(found[:20])


def fact_of(nodes, inputs, initializers=(), opset=21):
    infos = [helper.make_tensor_value_info(n, t, s) for n, (t, s) in inputs.items()]
    weights = [numpy_helper.from_array(np.array(a), n) for n, a in initializers]
    outputs = [helper.make_empty_tensor_value_info(nodes[-1].output[0])]
    model = load(helper.make_model(
        helper.make_graph(nodes, "g", infos, outputs, weights), opset_imports=[helper.make_opsetid("", opset)]
    ))  # fmt: skip
    infer_model(model)
    return model.graph.outputs[0]


X = {"x": (TensorProto.FLOAT, ["N", 3, "W"])}


def texts(value):
    return None if value.shape is None else [str(d) for d in value.shape]


@pytest.mark.parametrize(
    ("settings", "axes", "expected"),
    [
        ({}, None, ["1", "1", "1"]), ({"keepdims": 0}, None, []), ({"keepdims": 0}, [-1], ["N", "3"]),
        ({"noop_with_empty_axes": 1}, None, ["N", "3", "W"]), ({"noop_with_empty_axes": 1}, [], ["N", "3", "W"]),
        ({}, [], ["1", "1", "1"]), ({"noop_with_empty_axes": 1}, [1], ["N", "1", "W"]),
    ],
)  # fmt: skip
def test_axes_as_input(settings, axes, expected):
    names = ["x"] if axes is None else ["x", "axes"]
    given = [] if axes is None else [("axes", np.array(axes, np.int64))]
    node = helper.make_node("ReduceSum", names, ["y"], **settings)
    assert texts(fact_of([node], X, given)) == expected


def test_axes_as_attribute():
    node = helper.make_node("ReduceSum", ["x"], ["y"], axes=[0, -1], keepdims=0)
    assert texts(fact_of([node], X, opset=11)) == ["3"]


def test_axes_that_depend_on_data_keep_the_rank_only_with_keepdims():
    inputs = {**X, "axes": (TensorProto.INT64, ["K"])}
    kept = fact_of([helper.make_node("ReduceSum", ["x", "axes"], ["y"])], inputs)
    assert len(kept.shape) == 3 and len(set(kept.shape)) == 3 and not set(kept.shape) & {"N", 3, "W"}
    assert fact_of([helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)], inputs).shape is None
    inputs["axes"] = (TensorProto.INT64, [2])
    assert len(fact_of([helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)], inputs).shape) == 1


def test_axis_out_of_range_claims_nothing():
    node = helper.make_node("ReduceSum", ["x"], ["y"], axes=[5], keepdims=0)
    assert fact_of([node], X, opset=11).shape is None
    assert fact_of([helper.make_node("ArgMax", ["x"], ["y"], axis=3)], X).shape is None


@pytest.mark.parametrize(
    ("op", "expected"),
    [("ReduceProd", "3*N*W"), ("ReduceSum", "N + W + 3"), ("ReduceMax", "max(max(N, 3), W)"), ("ReduceMean", None)],
)
def test_contents_of_shape_arithmetic(op, expected):
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node(op, ["s"], ["y"], keepdims=0)]
    value = fact_of(nodes, X)
    assert value.shape == ()
    if expected is None:
        assert value.content is None
    else:
        (found,) = value.content
        from planish.compiler import symbolic

        sizes = {"N": 5, "W": 7}
        assert symbolic.evaluate(found, sizes) == eval(expected, {"max": max}, sizes)


def test_products_that_overflow_have_no_content():
    weights = [("c", np.array([2**31 - 1, 2**31 - 1, 4], np.int64))]
    assert fact_of([helper.make_node("ReduceProd", ["c"], ["y"])], {}, weights).content is None
    weights = [("c", np.array([2**31 - 1, 1], np.int32))]
    assert fact_of([helper.make_node("ReduceSum", ["c"], ["y"])], {}, weights).content is None


def test_top_k_shares_one_unknown_extent():
    inputs = {**X, "k": (TensorProto.INT64, [1])}
    value = fact_of([helper.make_node("TopK", ["x", "k"], ["y", "i"])], inputs)
    assert value.producer.outputs[1].shape == value.shape
    assert texts(value)[:2] == ["N", "3"]
    old = fact_of([helper.make_node("TopK", ["x"], ["y", "i"], k=4, axis=1)], X, opset=9)
    assert texts(old) == ["N", "4", "W"]


def test_running_total_of_contents():
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("CumSum", ["s", "axis"], ["y"])]
    value = fact_of(nodes, X, [("axis", np.array(0, np.int64))])
    assert [str(d) for d in value.content] == ["N", "N + 3", "W + N + 3"]
