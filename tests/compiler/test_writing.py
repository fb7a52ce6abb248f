"""Where a pass changes something, everything that has nothing to do with it stays as it was."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper
from onnx.numpy_helper import from_array, to_array
from survival import parsed

from planish.compiler.graph import Node
from planish.compiler.inference import infer_model
from planish.compiler.model import Model
from planish.compiler.reading import load
from planish.compiler.tensor import Tensor
from planish.compiler.verify import verify
from planish.compiler.writing import to_proto
from planish.runtime.optimize import optimize

CLEANUP = "eliminate-no-ops,eliminate-dead-nodes"
TEXT = """<ir_version: 10, opset_import: ["unused" : 1, "" : 21]>
g (float[N,2] x) => (float[N,2] y, z) <float[N,2] a, float[N,2] i, float[7] nobody, float[N,2] b, float scale = {2}> {
    a = Relu(x)
    i = Identity(a)
    b = Neg(i)
    y = Abs(b)
    dead = Abs(x)
    z = Shape(x)
}"""


def annotated() -> ModelProto:
    """A model with an Identity and a dead node to remove, and something said about everything."""
    proto = parsed(TEXT)
    graph = proto.graph
    proto.metadata_props.add(key="author", value="somebody")
    proto.doc_string, proto.producer_name, proto.domain, proto.model_version = "d", "p", "org.example", 7
    graph.doc_string = "graph"
    graph.metadata_props.add(key="g", value="v")
    for node in graph.node:
        node.name, node.doc_string = f"node_{node.output[0]}", f"makes {node.output[0]}"
        node.metadata_props.add(key="scope", value=node.name)
    for info in graph.value_info:
        info.doc_string = f"of {info.name}"
    for name in ("b", "i", "nobody", "a", "dead"):
        annotation = graph.quantization_annotation.add(tensor_name=name)
        annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="scale")
    return proto


def test_what_is_unrelated_stays() -> None:
    proto = annotated()
    result = optimize(proto, passes=CLEANUP, verify="off")
    verify(result.model)
    changed = result.proto()
    graph, before = changed.graph, proto.graph
    assert [node.op_type for node in graph.node] == ["Relu", "Neg", "Abs", "Shape"]
    assert graph.node[0] == before.node[0]
    assert graph.node[2:] == [before.node[3], before.node[5]]
    neg = graph.node[1]
    assert (neg.name, neg.doc_string, neg.metadata_props[0].value) == ("node_b", "makes b", "node_b")
    assert [info.name for info in graph.value_info] == ["a", "nobody", "b"]
    assert all(info in before.value_info for info in graph.value_info)
    assert [note.tensor_name for note in graph.quantization_annotation] == ["b", "nobody", "a"]
    assert [tensor.name for tensor in graph.initializer] == ["scale"], "annotations name it"
    assert (graph.input, graph.output) == (before.input, before.output)
    assert (graph.name, graph.doc_string, graph.metadata_props) == (before.name, "graph", before.metadata_props)
    assert [(o.domain, o.version) for o in changed.opset_import] == [("", 21)]
    for field in ("graph", "opset_import"):
        changed.ClearField(field)
        proto.ClearField(field)
    assert changed == proto


def find(model: Model, op: str) -> Node:
    return next(node for node in model.nodes() if node.op == op)


def test_an_edited_node_keeps_what_was_not_edited() -> None:
    proto = parsed('<ir_version: 10, opset_import: ["" : 21, "d" : 1]> g (float[2] x) => (y) { y = d.Op <b = 2> (x) }')
    node = proto.graph.node[0]
    for attribute in (helper.make_attribute("a", 1.5, doc_string="keep"), helper.make_attribute("g", proto.graph),
                      helper.make_attribute("empty", [], attr_type=onnx.AttributeProto.STRINGS),
                      helper.make_attribute("nan", float("nan")), helper.make_attribute("gone", 1)):  # fmt: skip
        node.attribute.append(attribute)
    node.attribute[2].g.node[0].output[0] = "inner"
    node.attribute[2].g.output[0].name = "inner"
    model = load(proto)
    op = find(model, "d::Op")
    op.set_attribute("a", 2.5)
    op.set_attribute("gone", None)
    op.set_attribute("added", [1, 2])
    written = to_proto(model).graph.node[0]
    assert [attribute.name for attribute in written.attribute] == ["b", "a", "g", "empty", "nan", "added"]
    assert (written.attribute[1].f, written.attribute[1].doc_string) == (2.5, "keep")
    for position in (0, 2, 3):
        assert written.attribute[position] == node.attribute[position]
    assert written.attribute[3].type == onnx.AttributeProto.STRINGS


def test_a_renamed_node_is_written_under_its_new_name() -> None:
    model = load(annotated())
    find(model, "Neg").name = "other"
    assert [node.name for node in to_proto(model).graph.node][2] == "other"


def test_stated_types_of_edited_nodes_are_dropped_where_they_are_wrong_now() -> None:
    proto = parsed("""g (float[2,3] x) => (y) <float[3,2] t, float[3,2] u> {
        t = Transpose <perm = [1, 0]> (x)
        u = Neg(t)
        y = Abs(u)
    }""")
    model = load(proto)
    infer_model(model)
    find(model, "Transpose").set_attribute("perm", (0, 1))
    infer_model(model)
    assert [info.name for info in to_proto(model).graph.value_info] == ["u"]


def test_a_change_in_a_body_leaves_its_owner_alone() -> None:
    proto = parsed("""g (float[2] x, bool c) => (float[2] y) {
        y = If (c) <then_branch = t () => (float[2] o) <float[2] k> { i = Identity(x)  k = Neg(i)  o = Abs(k) },
                    else_branch = e () => (float[2] o) { o = Relu(x) }>
    }""")
    node = proto.graph.node[0]
    node.name, node.doc_string = "choice", "text"
    node.attribute[0].doc_string = "taken"
    node.attribute[0].g.doc_string = "inner"
    node.attribute.append(helper.make_attribute("extra", 1))
    written = optimize(proto, passes=CLEANUP).proto().graph.node[0]
    assert [n.op_type for n in written.attribute[0].g.node] == ["Neg", "Abs"]
    assert (written.attribute[0].doc_string, written.attribute[0].g.doc_string) == ("taken", "inner")
    assert written.attribute[0].g.value_info == node.attribute[0].g.value_info
    assert written.attribute[1:] == node.attribute[1:]
    assert (written.name, written.doc_string) == ("choice", "text")


def test_a_change_in_a_function_leaves_the_rest_of_it_alone() -> None:
    proto = parsed("""<ir_version: 10, opset_import: ["" : 21, "f" : 1]>
    g (float[2] x) => (float[2] y) { y = f.f <alpha = 0.5> (x) }
    <domain: "f", overload: "", opset_import: ["" : 21]>
    f <alpha, beta: float = 2.5> (x) => (y) <float[2] a, float[2] b> {
        a = LeakyRelu <alpha: float = @alpha> (x)
        b = Identity(a)
        y = Neg(b)
    }
    """)
    proto.functions[0].doc_string = "text"
    proto.functions[0].metadata_props.add(key="k", value="v")
    written = optimize(proto, passes=CLEANUP).proto().functions[0]
    assert [n.op_type for n in written.node] == ["LeakyRelu", "Neg"]
    assert [info.name for info in written.value_info] == ["a"]
    for field in ("attribute", "attribute_proto", "doc_string", "metadata_props", "input", "output", "opset_import"):
        assert getattr(written, field) == getattr(proto.functions[0], field), field


def test_imports_change_only_where_the_model_did() -> None:
    proto = parsed('<ir_version: 10, opset_import: ["b" : 2, "ai.onnx" : 20, "a" : 1]> g (x) => (y) { y = Relu(x) }')
    model = load(proto)
    model.opsets.update({"": 21, "new": 3})
    del model.opsets["a"]
    assert [(o.domain, o.version) for o in to_proto(model).opset_import] == [("b", 2), ("ai.onnx", 21), ("new", 3)]


def test_a_training_algorithm_keeps_what_it_reads() -> None:
    proto = parsed("""g (float[2] x) => (float[2] y) <float[2] w = {1, 2}, float rate = {3}> {
        k = Mul(w, w)
        y = Mul(x, k)
    }""")
    training = proto.training_info.add()
    training.algorithm.CopyFrom(parsed("a (float[2] g) => (float[2] w1) { w1 = Sub(w, rate) }").graph)
    training.update_binding.add(key="w", value="w1")
    result = optimize(proto, passes=CLEANUP).proto()
    assert [tensor.name for tensor in result.graph.initializer] == ["w", "rate"]
    assert result.training_info == proto.training_info
    assert [node.op_type for node in result.graph.node] == ["Mul", "Mul"]


def test_every_element_type_can_be_made_anew() -> None:
    model = load(parsed("g () => () { }"))
    types = [v for k, v in TensorProto.DataType.items() if k not in ("UNDEFINED", "STRING")]
    arrays = {dtype: np.array([[2, 1], [1, 2]]).astype(helper.tensor_dtype_to_np_dtype(dtype)) for dtype in types}
    for dtype, array in arrays.items():
        model.graph.add_initializer(f"w{dtype}", Tensor.from_array(array))
    model.graph.add_initializer("text", Tensor.from_array(np.array(["a", b"\xff"], object)))
    *written, text = to_proto(model).graph.initializer
    for dtype, tensor in zip(types, written, strict=True):
        assert (tensor.name, tensor.data_type, list(tensor.dims)) == (f"w{dtype}", dtype, [2, 2])
        np.testing.assert_array_equal(to_array(tensor), arrays[dtype])
        again = Tensor.from_proto(tensor)
        np.testing.assert_array_equal(again.numpy(), arrays[dtype])
        assert again.digest() == Tensor.from_array(arrays[dtype]).digest()
    assert list(text.string_data) == [b"a", b"\xff"]


def test_equal_tensors_have_equal_digests_however_they_are_stored() -> None:
    array = np.array([1.5, -0.0, np.nan], np.float32)
    raw = Tensor.from_proto(from_array(array))
    typed = Tensor.from_proto(helper.make_tensor("t", TensorProto.FLOAT, [3], array))
    assert raw.glimpse() == typed.glimpse() == array.tobytes()
    assert raw.digest() == typed.digest() == Tensor.from_array(array).digest()
    for other in (array.reshape(1, 3), array.view(np.int32), np.array([1.5, 0.0, np.nan], np.float32)):
        assert Tensor.from_array(other).digest() != raw.digest()
