"""What the reader makes of graphs that are unusual, and what it says of those that are wrong."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import AttributeProto, ModelProto, helper
from onnx.numpy_helper import from_array
from survival import parsed

from planish.compiler.errors import ModelError, PlanishError, UnsupportedModelError
from planish.compiler.inference import infer_model
from planish.compiler.reading import load
from planish.compiler.verify import verify
from planish.compiler.writing import to_proto
from planish.runtime.optimize import optimize

X = np.array([1, -2], np.float32)


def run(proto: ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds or {"x": X})


def shuffled(proto: ModelProto, order: tuple[int, ...]) -> ModelProto:
    nodes = list(proto.graph.node)
    result = ModelProto()
    result.CopyFrom(proto)
    del result.graph.node[:]
    result.graph.node.extend(nodes[index] for index in order)
    return result


def test_nodes_in_any_order_are_sorted() -> None:
    proto = parsed("g (float[2] x) => (float[2] y) { a = Relu(x)  b = Neg(x)  c = Add(a, b)  y = Mul(c, b) }")
    expected = run(proto)
    for order in itertools.permutations(range(4)):
        unsorted = shuffled(proto, order)
        model = load(unsorted)
        verify(model)
        result = to_proto(model)
        onnx.checker.check_model(result)
        np.testing.assert_array_equal(run(unsorted), expected)
        np.testing.assert_array_equal(run(result), expected)
        nodes = [node.op_type for node in result.graph.node]
        kept = [op for op in (n.op_type for n in unsorted.graph.node) if op in ("Relu", "Neg")]
        assert [op for op in nodes if op in ("Relu", "Neg")] == kept, "what is independent keeps its order"


def test_a_body_that_captures_what_comes_later_is_sorted() -> None:
    proto = parsed("""g (float[2] x, bool c) => (float[2] y) {
        y = If (c) <then_branch = t () => (float[2] o) { o = Neg(q)  q = Abs(k) },
                    else_branch = e () => (float[2] k) { }>
        k = Relu(x)
    }""")
    model = load(proto)
    verify(model)
    assert [node.op for node in model.graph] == ["Relu", "If"]
    assert [node.op for node in model.graph.last.bodies["then_branch"]] == ["Abs", "Neg"]  # type: ignore[union-attr]


def test_functions_are_sorted_and_inferred_after_those_that_they_call() -> None:
    model = load(parsed("""<ir_version: 10, opset_import: ["" : 21, "f" : 1]>
    g (float[2] x) => (y) { y = f.outer(x) }
    <domain: "f", opset_import: ["" : 21, "f" : 1]>
    outer (i) => (o) { o = Neg(s)  s = f.shape(i) }
    <domain: "f", opset_import: ["" : 21]>
    shape (i) => (o) { o = Shape(i) }
    """))
    infer_model(model)
    verify(model)
    assert model.graph.outputs[0].dtype == onnx.TensorProto.INT64


@pytest.mark.parametrize("text", [
    "g (float[2] x) => (float[2] x) { }",
    "g (float[2] x) => (float[2] y, float[2] w) <float[2] w = {1, 2}> { y = Add(x, w) }",
    "g (float[2] x) => (float[2] y, float[2] y, float[2] z) { y = Relu(x)  z = Identity(y) }",
    "g (float[2] x) => (float[2] y, float[2] x) { a = Identity(x)  y = Identity(a) }",
])  # fmt: skip
def test_outputs_that_are_more_than_outputs_of_nodes(text: str) -> None:
    proto = parsed(text)
    result = optimize(proto)
    assert result.parity is not None and result.parity.status == "proven"
    assert result.proto().graph.output == proto.graph.output
    np.testing.assert_array_equal(run(result.proto()), run(proto))


def test_the_last_of_several_initializers_of_one_name_counts() -> None:
    proto = parsed("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }")
    proto.graph.initializer.append(from_array(np.array([10, 20], np.float32), "w"))
    result = to_proto(load(proto))
    np.testing.assert_array_equal(run(result), run(proto))
    assert len(result.graph.initializer) == 1


@pytest.mark.parametrize(("imports", "version"), [('"" : 11, "ai.onnx" : 13', 13), ('"" : 13, "ai.onnx" : 11', 11)])
def test_the_last_of_several_imports_of_one_domain_counts(imports: str, version: int) -> None:
    graph = "g (float[1,2,2] x) => (float[1,2,2] y) { y = Softmax(x) }"
    proto = parsed(f"<ir_version: 8, opset_import: [{imports}]> {graph}")
    assert load(proto).opsets == {"": version}
    ones = np.ones((1, 2, 2), np.float32)
    other = parsed(f'<ir_version: 8, opset_import: ["" : {version}]> {graph}')
    np.testing.assert_array_equal(run(proto, x=ones), run(other, x=ones))


def test_operators_whose_version_is_unknown_are_left_alone() -> None:
    proto = parsed('<ir_version: 8, opset_import: ["ai.onnx.ml" : 3]> g (float[2] x) => (float[2] y) '
                   "{ a = Identity(x)  y = Relu(a) }")  # fmt: skip
    result = optimize(proto).proto()
    assert result == proto
    np.testing.assert_array_equal(run(result), run(proto))


def test_what_bodies_in_a_list_capture_stays() -> None:
    proto = parsed('<ir_version: 10, opset_import: ["" : 21, "d" : 1]> g (float[2] x) => (y) '
                   "{ dead = Abs(x)  a = Relu(x)  i = Identity(a)  y = d.Op(x) }")  # fmt: skip
    texts = [f"g{read} () => (float[2] o) {{ k = Identity({read})  o = Neg(k) }}" for read in "ai"]
    bodies = [parsed(text).graph for text in texts]
    proto.graph.node[3].attribute.append(helper.make_attribute("bodies", bodies))
    result = optimize(proto, verify="off")
    verify(result.model)
    graph = result.proto().graph
    assert [node.op_type for node in graph.node] == ["Relu", "Op"]
    assert [[n.op_type for n in b.node] for b in graph.node[1].attribute[0].graphs] == [["Neg"], ["Neg"]]
    assert [b.node[0].input[0] for b in graph.node[1].attribute[0].graphs] == ["a", "a"]


def test_a_body_that_the_caller_gives_is_not_an_empty_body() -> None:
    proto = parsed("""<ir_version: 10, opset_import: ["" : 21, "f" : 1]>
    g (float[2] x) => (float[2] y) { k = Relu(x)  y = f.choose <branch = b () => (float[2] o) { o = Neg(k) }> (x) }
    <domain: "f", opset_import: ["" : 21]>
    choose <branch> (x) => (y) {
        c = Constant <value = bool {1}> ()
        y = If (c) <then_branch: graph = @branch, else_branch = e () => (o) { o = Relu(x) }>
    }
    """)
    result = optimize(proto, verify="off").proto()
    assert [node.op_type for node in result.graph.node] == ["Relu", "choose"]
    assert [node.op_type for node in result.functions[0].node][-1] == "If"


HIDING = """g (float[2] x, bool c) => (float[2] y) {
    t = Abs(x)
    y = If (c) <then_branch = b () => (float[2] o) <float[2] t = {5, 6}> { k = Neg(t)  m = Identity(x)  o = Add(k, m) },
                else_branch = e () => (float[2] o) { o = Neg(t) }>
}"""


def test_a_value_that_another_hides_gets_its_readers_all_the_same() -> None:
    proto = parsed(HIDING)
    model = load(proto)
    inner = model.graph.last.bodies["then_branch"]  # type: ignore[union-attr]
    neg, identity, _ = inner
    outer = model.value_named("t")
    assert neg.inputs[0] is not outer
    identity.set_input(0, outer)
    verify(model)
    result = to_proto(model)
    onnx.checker.check_model(result)
    for condition in (True, False):
        expected = -np.array([5, 6], np.float32) + np.abs(X) if condition else -np.abs(X)
        np.testing.assert_array_equal(run(result, x=X, c=np.array(condition))[0], expected)
    assert [tensor.name for tensor in result.graph.node[1].attribute[0].g.initializer] == ["t_1"]


def test_names_that_need_no_change_keep_theirs() -> None:
    proto = parsed(HIDING)
    assert to_proto(load(proto)) == proto


WRONG = {
    "something undefined": ("g (float[2] x) => (float[2] y) { y = Add(x, w) }", "'w' is read, but nothing produces it"),
    "an undefined output": ("g (float[2] x) => (float[2] y) { }", "'y' is read, but nothing produces it"),
    "two inputs of one name": ("g (float[2] x, float[2] x) => (float[2] y) { y = Relu(x) }", "two inputs"),
    "two outputs of one name": ("g (float[2] x) => (float[2] y) { y = Relu(x)  y = Neg(x) }", "'y' is produced twice"),
    "an output like an input": ("g (float[2] x) => (float[2] x) { x = Relu(x) }", "'x' is produced twice"),
    "an output like an initializer":
        ("g (float[2] x) => (float[2] w) <float[2] w = {1, 2}> { w = Relu(x) }", "'w' is produced twice"),
    "a cycle": ("g (float[2] x) => (float[2] y) { a = Add(x, b)  b = Relu(a)  y = Neg(b) }", "cycle"),
    "a node that reads itself": ("g (float[2] x) => (float[2] y) { y = Add(x, y) }", "cycle"),
    "a body's value outside":
        ("""g (bool c) => (float[2] y) {
            a = If (c) <then_branch = t () => (float[2] o) { o = Neg(y) },
                        else_branch = e () => (float[2] i) { i = Constant <value_floats = [1.0, 2.0]> () }>
            y = Relu(i)
         }""", "'i' is read, but nothing produces it"),
    "a function twice":
        ("""<ir_version: 10, opset_import: ["" : 21, "f" : 1]> g (float[2] x) => (y) { y = f.a(x) }
            <domain: "f", opset_import: ["" : 21]> a (i) => (o) { o = Neg(i) }
            <domain: "f", opset_import: ["" : 21]> a (i) => (o) { o = Abs(i) }""", "defined twice"),
    "functions that call each other":
        ("""<ir_version: 10, opset_import: ["" : 21, "f" : 1]> g (float[2] x) => (y) { y = f.a(x) }
            <domain: "f", opset_import: ["" : 21, "f" : 1]> a (i) => (o) { o = f.b(i) }
            <domain: "f", opset_import: ["" : 21, "f" : 1]> b (i) => (o) { o = f.a(i) }""", "calls itself"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_graphs(name: str) -> None:
    text, complaint = WRONG[name]
    with pytest.raises(ModelError, match=complaint) as raised:
        load(parsed(text))
    assert raised.value.where


def test_no_graph() -> None:
    with pytest.raises(ModelError, match="no graph"):
        load(ModelProto())


def nested(levels: int) -> ModelProto:
    model = parsed("g (bool c, float[2] x) => (float[2] o) { }")
    graph = model.graph
    for _ in range(levels):
        node = graph.node.add(op_type="If", input=["c"], output=["o"])
        other = node.attribute.add(name="else_branch", type=AttributeProto.GRAPH)
        other.g.output.add(name="k")
        other.g.node.add(op_type="Neg", input=["x"], output=["k"])
        branch = node.attribute.add(name="then_branch", type=AttributeProto.GRAPH)
        graph = branch.g
        graph.output.add(name="o")
    graph.node.add(op_type="Abs", input=["x"], output=["o"])
    return model


def test_bodies_as_deep_as_a_file_can_hold_them() -> None:
    model = nested(28)
    assert to_proto(load(model)) == model
    infer_model(load(model))
    ModelProto.FromString(model.SerializeToString())


def test_bodies_deeper_than_that() -> None:
    with pytest.raises(UnsupportedModelError, match="levels deep"):
        load(nested(200))


def test_the_source_may_be_used_again_after_an_error() -> None:
    proto = parsed("g (float[2] x) => (float[2] y) { y = Add(x, w) }")
    before = proto.SerializeToString()
    with pytest.raises(PlanishError):
        load(proto)
    assert proto.SerializeToString() == before
