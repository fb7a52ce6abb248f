"""A graphsurgeon graph in, one out: the same in meaning, and the one that was given is left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime
import pytest
from onnx.external_data_helper import convert_model_to_external_data
from survival import parsed

from planish.models import BUILDERS, build, sample_inputs
from planish.runtime.optimize import optimize


def snapshot(graph: gs.Graph) -> list[Any]:
    """Everything that can be seen of a graph, as plain data."""
    tensors = {name: tensor_facts(tensor) for name, tensor in graph.tensors().items()}
    nodes = [
        (id(n), n.op, n.name, n.domain, attributes(n.attrs), [t.name for t in n.inputs], [t.name for t in n.outputs])
        for n in graph.nodes
    ]
    interface = [[tensor_facts(t) for t in graph.inputs], [tensor_facts(t) for t in graph.outputs]]
    functions = [(f.name, f.domain, snapshot(f)) for f in graph.functions]
    return [graph.name, graph.doc_string, graph.opset, graph.import_domains, tensors, nodes, interface, functions]


def attributes(attrs: dict[str, Any]) -> dict[str, Any]:
    return {name: snapshot(value) if isinstance(value, gs.Graph) else repr(value) for name, value in attrs.items()}


def tensor_facts(tensor: gs.Tensor) -> tuple[object, ...]:
    readers, producers = [n.name for n in tensor.outputs], [n.name for n in tensor.inputs]
    shape = None if tensor.shape is None else list(tensor.shape)
    facts = (id(tensor), tensor.name, str(tensor.dtype), shape, readers, producers)
    return (*facts, tensor.values.tobytes()) if isinstance(tensor, gs.Constant) else facts


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def interface(graph: gs.Graph) -> list[tuple[str, str, str]]:
    return [(t.name, str(np.dtype(t.dtype)), str(t.shape)) for t in (*graph.inputs, *graph.outputs)]


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_in_and_out(name: str) -> None:
    proto = build(name)
    graph = gs.import_onnx(proto)
    before = snapshot(graph)
    result = optimize(graph)
    assert snapshot(graph) == before
    assert result.parity is not None and result.parity.status == "proven"
    changed = result.graph()
    assert interface(changed) == interface(graph)
    assert len(changed.nodes) <= len(graph.nodes)
    feeds = sample_inputs(proto)
    for got, wanted in zip(run(gs.export_onnx(changed), feeds), run(proto, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_a_graph_that_was_edited_by_hand() -> None:
    graph = gs.import_onnx(parsed("g (float[2] x) => (float[2] y) { a = Relu(x)  y = Neg(a) }"))
    weight = gs.Constant("w", np.array([2, 3], np.float32))
    extra = gs.Variable("extra", np.float32, [2])
    graph.nodes.append(gs.Node("Mul", "scaled", inputs=[graph.outputs[0], weight], outputs=[extra]))
    graph.outputs = [extra]
    before = snapshot(graph)
    result = optimize(graph)
    assert snapshot(graph) == before
    assert [tensor.name for tensor in result.graph().outputs] == ["extra"]
    x = np.array([1, -2], np.float32)
    np.testing.assert_array_equal(run(gs.export_onnx(result.graph()), {"x": x})[0], [-2, 0])


def test_weights_in_other_files_come_along(tmp_path: Path) -> None:
    proto = build("resnet")
    convert_model_to_external_data(proto, location="model.data")
    onnx.save(proto, tmp_path / "model.onnx")
    graph = optimize(tmp_path / "model.onnx", verify="off").graph()
    for file in tmp_path.iterdir():
        file.unlink()
    weights = [t for t in graph.tensors().values() if isinstance(t, gs.Constant)]
    assert weights and sum(weight.values.size for weight in weights) > 1000
    onnx.checker.check_model(gs.export_onnx(graph))


def test_a_path_and_a_proto_and_a_graph_give_the_same(tmp_path: Path) -> None:
    proto = build("inception")
    before = proto.SerializeToString(deterministic=True)
    onnx.save(proto, tmp_path / "model.onnx")
    by_path = optimize(tmp_path / "model.onnx", verify="off").proto()
    by_text = optimize(str(tmp_path / "model.onnx"), verify="off").proto()
    by_proto = optimize(proto, verify="off").proto()
    by_graph = optimize(gs.import_onnx(build("inception")), verify="off").proto()
    assert by_path == by_text == by_proto
    assert [n.op_type for n in by_graph.graph.node] == [n.op_type for n in by_proto.graph.node]
    assert proto.SerializeToString(deterministic=True) == before
