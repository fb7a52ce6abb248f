"""Functions over graphsurgeon graphs as passes: what they do arrives, what they leave alone stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_graphsurgeon as gs
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import planish
from planish import OptionError, PassError

MODEL = """
<ir_version: 10, opset_import: ["" : 17, "local" : 1], producer_name: "test", producer_version: "3",
 domain: "org.test", model_version: 7, doc_string: "a model", metadata_props: ["author" : "me"]>
g (float[N,3] x, bool flag, float[3] w = {1, 2, 3}) => (float[N,3] y, float[N,3] z)
<float[N,3] sum> {
    [first] a = Neg (x)
    [second] b = Neg (a)
    [third] sum = Add (b, w)
    [call] c = local.Twice <factor = 2.0> (sum)
    [choice] y = If (flag) <
        then_branch = t () => (float[N,3] p) { [inner] p = Relu (c) },
        else_branch = e () => (float[N,3] q) { q = Sigmoid (c) }>
    [wrap] o = Optional (c)
    [unwrap] z = OptionalGetElement (o)
}
<domain: "local", opset_import: ["" : 17]> Twice <factor> (v) => (r) {
    f = Constant <value_float : float = @factor> ()
    r = Mul (v, f)
}
"""


def model() -> ModelProto:
    proto = onnx.parser.parse_model(MODEL)
    graph = proto.graph
    graph.doc_string = "a graph"
    graph.metadata_props.add(key="graph", value="kept")
    for node in graph.node:
        node.doc_string = f"node {node.name}"
        node.metadata_props.add(key="line", value=node.name)
    graph.node[5].attribute.append(
        helper.make_attribute("type", helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 3]))
    )
    optional = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 3]))
    graph.value_info.append(helper.make_value_info("o", optional))
    note = graph.quantization_annotation.add(tensor_name="sum")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="w")
    return proto


def cancel_negations(graph: gs.Graph) -> None:
    """Remove pairs of Neg."""
    for node in list(graph.nodes):
        if node.op == "Neg" and node.i().op == "Neg" if node.inputs[0].inputs else False:
            for reader in list(node.outputs[0].outputs):
                reader.inputs[0] = node.i().inputs[0]
            node.outputs.clear()
    graph.cleanup()


Cancel = planish.graphsurgeon_pass("cancel-negations")(cancel_negations)


def optimized(kind: type[planish.Pass], **options: object) -> planish.Result:
    options = {"plugins": [kind], "passes": kind.name, "verify": "each", **options}
    return planish.optimize(model(), **options)  # type: ignore[arg-type]


def test_what_the_function_does_arrives() -> None:
    result = optimized(Cancel)
    assert result.before.ops["Neg"] == 2 and result.after.ops["Neg"] == 0
    assert result.parity is not None and result.parity.status == "proven"
    rewrite = next(iter(result.journal.rewrites()))
    assert rewrite.removed == (("Neg", "first"), ("Neg", "second"))
    assert rewrite.changed == (("Add", "third"),) and not rewrite.added


def test_what_the_function_leaves_alone_stays_as_it_was() -> None:
    before, after = model(), optimized(Cancel).proto()
    onnx.checker.check_model(after, full_check=True)
    expected, graph = before.graph, after.graph
    third = graph.node[0]
    assert third.input[0] == "x" and third.doc_string == "node third"
    assert {p.key: p.value for p in third.metadata_props} == {
        "line": "third", "planish.by": "cancel-negations", "planish.from": "third"
    }  # fmt: skip
    assert list(graph.node[1:]) == list(expected.node[3:])
    del expected.node[:], graph.node[:]
    assert after == before


def test_a_function_that_does_nothing_changes_nothing() -> None:
    nothing = planish.graphsurgeon_pass("do-nothing")(lambda graph: None)
    result = optimized(nothing)
    assert not result.journal.count and result.proto() == model()


def test_new_nodes_say_what_they_came_from() -> None:
    @planish.graphsurgeon_pass("double-negation")
    def double_negation(graph: gs.Graph) -> gs.Graph:
        cancel_negations(graph)
        sum_node = next(n for n in graph.nodes if n.op == "Add")
        same = gs.Variable("same", np.float32, ["N", 3])
        graph.nodes.insert(0, gs.Node("Identity", "fresh", inputs=[sum_node.inputs[0]], outputs=[same]))
        sum_node.inputs[0] = same
        return graph

    fresh = optimized(double_negation).model.graph.first
    assert fresh is not None and fresh.origins == ("first",) and fresh.rewritten_by == "double-negation"


def test_nodes_out_of_order_are_sorted() -> None:
    @planish.graphsurgeon_pass("put-last")
    def put_last(graph: gs.Graph) -> None:
        graph.nodes.append(graph.nodes.pop(0))

    result = optimized(put_last)
    assert [n.name for n in result.proto().graph.node][:3] == ["first", "second", "third"]
    assert result.parity is not None and result.parity.status == "proven"


def test_exact_passes_go_on_where_the_function_stopped() -> None:
    result = planish.optimize(model(), plugins=[Cancel], passes="(cancel-negations,eliminate-no-ops)*,default")
    assert result.parity is not None and result.parity.status == "proven"
    assert result.after.ops["Neg"] == 0


def test_a_function_that_is_wrong_is_held_back_and_the_rest_kept() -> None:
    @planish.graphsurgeon_pass("drop-bias")
    def drop_bias(graph: gs.Graph) -> None:
        node = next((n for n in graph.nodes if n.op == "Add"), None)
        if node is not None:
            node.op = "Sub"

    result = optimized(drop_bias, passes="cancel-negations,drop-bias", plugins=[Cancel, drop_bias], verify="final")
    assert list(result.held_back) == ["drop-bias@/graph"]
    assert result.parity is not None and result.parity.status == "proven"
    assert result.after.ops["Neg"] == 0 and result.after.ops["Add"] == 1


def test_fuel_stops_a_function_too() -> None:
    assert optimized(Cancel, fuel=0).after.ops["Neg"] == 2


def test_parameters_are_options() -> None:
    @planish.graphsurgeon_pass("rename-nodes")
    def rename_nodes(graph: gs.Graph, prefix: str = "", times: int = 1) -> None:
        for node in graph.nodes:
            node.name = prefix * times + node.name

    assert str(rename_nodes(prefix="p/")) == "rename-nodes{prefix=p/}"  # type: ignore[call-arg]
    result = optimized(rename_nodes, passes="rename-nodes{prefix=p/,times=2}")
    assert [n.name for n in result.proto().graph.node][:2] == ["p/p/first", "p/p/second"]
    with pytest.raises(OptionError, match="has no option 'suffix'"):
        optimized(rename_nodes, passes="rename-nodes{suffix=x}")


def test_parameters_need_a_default() -> None:
    with pytest.raises(OptionError, match="option prefix needs"):

        @planish.graphsurgeon_pass("rename-nodes")
        def rename_nodes(graph: gs.Graph, prefix: str) -> None:
            raise AssertionError


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_the_interface_of_the_model_must_stay(side: str) -> None:
    @planish.graphsurgeon_pass("rename-interface")
    def rename_interface(graph: gs.Graph) -> None:
        getattr(graph, side)[0].name = "renamed"

    with pytest.raises(PassError, match=f"made of the {side}"):
        optimized(rename_interface)


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(PassError, match="returned str, not a gs"):
        optimized(planish.graphsurgeon_pass("return-text")(lambda graph: "text"))  # type: ignore[arg-type,return-value]


def test_a_failing_function_is_named() -> None:
    @planish.graphsurgeon_pass("fail-at-once")
    def fail_at_once(graph: gs.Graph) -> None:
        raise KeyError("nothing")

    with pytest.raises(PassError, match="pass fail-at-once failed: KeyError"):
        optimized(fail_at_once)


def test_a_cycle_is_refused() -> None:
    @planish.graphsurgeon_pass("make-cycle")
    def make_cycle(graph: gs.Graph) -> None:
        graph.nodes[0].inputs[0] = graph.nodes[1].outputs[0]

    with pytest.raises(PassError, match="make-cycle left a broken graph: the graph has a cycle"):
        optimized(make_cycle)


def test_tensors_in_other_files_stay_there_and_can_be_read(tmp_path: Path) -> None:
    seen = []

    @planish.graphsurgeon_pass("look-at-weights")
    def look_at_weights(graph: gs.Graph) -> None:
        seen.extend(t.values.sum() for t in graph.tensors().values() if isinstance(t, gs.Constant))
        graph.nodes[0].name = "looked"

    proto = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 17]> g (float[N,64] x) => (float[N,64] y) { y = MatMul (x, w) }"""
    )
    weight = np.eye(64, dtype=np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    path = tmp_path / "model.onnx"
    onnx.save_model(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    result = planish.optimize(path, plugins=[look_at_weights], passes="look-at-weights")
    assert seen == [64.0]
    assert result.proto().graph.node[0].name == "looked"
    stored = result.proto().graph.initializer[0]
    assert stored.data_location == TensorProto.EXTERNAL and not stored.raw_data
    assert result.parity is not None and result.parity.status == "proven"
