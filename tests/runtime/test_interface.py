"""Shapes, outputs and weights that the user fixes before optimizing."""

from __future__ import annotations

import onnx
import onnx.parser
import pytest

import planish
from planish import OptionError
from planish.runtime.interface import Dims, parse_shape

MODEL = """
<ir_version: 10, opset_import: ["" : 17]>
g (float[N,3,H,W] image, int64[N,2] pair, float[3] w = {1, 2, 3}) => (float[N,3,H,W] y, int64[M] pairs, float[N,3] z)
<float[N,3,H,W] h> {
    h = Relu (image)
    y = Sigmoid (h)
    flat = Constant <value_ints = [-1]> ()
    pairs = Reshape (pair, flat)
    m = ReduceMean <axes = [2,3], keepdims = 0> (image)
    z = Mul (m, w)
}
"""


def optimized(**options: object) -> planish.Result:
    return planish.optimize(onnx.parser.parse_model(MODEL), **options)  # type: ignore[arg-type]


def dims(info: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]


@pytest.mark.parametrize(
    "text, name, shape",
    [
        ("x:1,3,224,224", "x", (1, 3, 224, 224)),
        ("x:[1,3,224,224]", "x", (1, 3, 224, 224)),
        ("x:1x3x224x224", "x", (1, 3, 224, 224)),
        ("x: [ 1, 3 ]", "x", (1, 3)),
        ("x:7", "x", (7,)),
        ("x:", "x", ()),
        ("x:[]", "x", ()),
        ("input:0:1,2", "input:0", (1, 2)),
        ("x:batch,3", "x", ("batch", 3)),
        ("x:?,3,-1", "x", ("?", 3, "-1")),
        ("x:xx,3", "x", ("xx", 3)),
    ],
)
def test_shapes_are_read_in_every_spelling(text: str, name: str, shape: Dims) -> None:
    assert parse_shape(text) == (name, shape)


@pytest.mark.parametrize(
    "text", ["x", "", ":1,2", "x:1,,2", "x:[1,2", "x:1,2]", "x:1;2", "x:-3", "x:1.5", "x:1x", "x:1 2"]
)
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is no shape"):
        parse_shape(text)


def test_a_dimension_is_fixed_everywhere_that_it_is_named() -> None:
    proto = optimized(input_shapes={"image": (2, 3, "?", 8)}).proto()
    assert dims(proto.graph.input[0]) == [2, 3, "H", 8]
    assert dims(proto.graph.input[1]) == [2, 2]
    assert dims(proto.graph.output[0]) == [2, 3, "H", 8]
    assert [dims(i) for i in proto.graph.value_info if i.name == "h"] == [[2, 3, "H", 8]]


def test_a_dimension_can_get_another_name() -> None:
    proto = optimized(input_shapes=["image:batch,3,H,W"]).proto()
    assert dims(proto.graph.input[0]) == ["batch", 3, "H", "W"]
    assert dims(proto.graph.input[1]) == ["batch", 2]


@pytest.mark.parametrize(
    "shapes, complaint",
    [
        (["nothing:1"], "no tensor input 'nothing'"),
        (["image:1,3"], "has 4 axes, not 2"),
        (["image:1,4,8,8"], "is 3 in the model, so it cannot be 4"),
        (["image:1,3,8,8", "pair:2,2"], "'N' is 1 already"),
    ],
)
def test_shapes_that_contradict_the_model_are_refused(shapes: list[str], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        optimized(input_shapes=shapes)


def test_fixed_shapes_let_more_be_folded() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 17]>
        g (float[N,3] x) => (float[N,3] y, int64[2] s) { y = Relu (x)  s = Shape (x) }"""
    )
    assert planish.optimize(model).after.ops["Shape"] == 1
    fixed = planish.optimize(model, input_shapes={"x": (5, 3)})
    assert fixed.after.ops["Shape"] == 0 and fixed.parity is not None and fixed.parity.status == "proven"


@pytest.mark.parametrize(
    "options, left",
    [
        ({"outputs": "z"}, ["z"]),
        ({"outputs": ["z", "y"]}, ["y", "z"]),
        ({"outputs": "z,y"}, ["y", "z"]),
        ({"drop_outputs": ["pairs"]}, ["y", "z"]),
        ({"outputs": "y,pairs", "drop_outputs": "pairs"}, ["y"]),
    ],
)
def test_outputs_are_dropped_with_what_only_they_need(options: dict[str, object], left: list[str]) -> None:
    result = optimized(**options)
    assert [o.name for o in result.proto().graph.output] == left
    assert result.parity is not None and result.parity.status == "proven"
    assert ("Reshape" in result.after.ops) == ("pairs" in left)


@pytest.mark.parametrize(
    "options", [{"outputs": "nothing"}, {"drop_outputs": "y,pairs,z"}, {"drop_outputs": "nothing"}]
)
def test_outputs_that_do_not_exist_and_no_output_at_all_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="no output"):
        optimized(**options)


def test_frozen_weights_are_no_inputs_any_more() -> None:
    assert [i.name for i in optimized().proto().graph.input] == ["image", "pair", "w"]
    assert [i.name for i in optimized(freeze=True).proto().graph.input] == ["image", "pair"]
