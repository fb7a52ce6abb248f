"""fold-constants: what depends on constants only is computed now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import ModelProto, NodeProto
from onnx import helper as onnx_helper

from ..compiler import dtypes
from ..compiler.attributes import encode
from ..compiler.errors import EvaluationError
from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import Context, Pass
from ..compiler.refusal import Refusal
from ..compiler.symbolic import product
from ..compiler.tensor import Tensor
from .determinism import is_deterministic

_LARGEST = 64 << 20  # bytes of one result; beyond that the copies made while folding cost more than the node
_FREE_GROWTH = 4096  # bytes by which a folded value may always be larger than what it replaces


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Compute every node whose inputs are constants, and shape arithmetic whose result follows from the shapes.

    Before => After
        w2 = Transpose(w); y = MatMul(x, w2)   =>   y = MatMul(x, w2')     w2' an initializer
        s = Shape(x[2,3]); y = Reshape(z, s)   =>   y = Reshape(z, [2, 3])

    Legal when
        The node is deterministic (no random operator, no training Dropout, no custom domain), all of its inputs are
        constants that the caller cannot override, and it is neither QuantizeLinear nor DequantizeLinear, which say in
        which precision a weight is kept. All nodes of a round are computed together, by the backend that runs models.

    Pays when
        The constants do not become larger than what they replace by more than 4 KiB, or the context's fold budget
        covers the growth. No result is larger than 64 MiB.

    Numerics
        Bit-equal to running the node with the same kernel.
    """

    name: ClassVar[str] = "fold-constants"

    def run(self, context: Context, since: int) -> None:
        for graph in list(context.model.graphs()):
            if since < 0 or any(node.graph is graph for node in context.changes.touched[since:]):
                self._fold_contents(context, graph)
                self._fold_batch(context, graph)

    def _fold_contents(self, context: Context, graph: Graph) -> None:
        for node in list(graph):
            if node.op == "Constant" or not node.alive or not is_deterministic(node):
                continue
            arrays = [None if v is None else _known_content(v) for v in node.outputs]
            used = [(v, a) for v, a in zip(node.outputs, arrays) if v is not None and v.uses]
            if used and all(a is not None for _, a in used):
                self._replace(context, node, [(v, Tensor.from_array(a)) for v, a in used if a is not None])

    def _fold_batch(self, context: Context, graph: Graph) -> None:
        if context.evaluator is None:
            return
        chosen = self._choose(context, graph)
        if not chosen:
            return
        results = self._evaluate(context, chosen)
        for node in chosen:
            pairs = [(v, results[v]) for v in node.outputs if v in results]
            if pairs and node.alive:
                self._keep_or_refuse(context, node, pairs)

    def _choose(self, context: Context, graph: Graph) -> list[Node]:
        """Foldable nodes in order, each reading constants or outputs of earlier ones."""
        chosen: dict[Node, None] = {}
        for node in graph:
            if node in context.unfoldable or not _foldable(node):
                continue
            if all(v is None or v.constant is not None or v.producer in chosen for v in node.inputs):
                chosen[node] = None
        return list(chosen)

    def _evaluate(self, context: Context, chosen: list[Node]) -> dict[Value, Tensor]:
        """Outputs of the chosen nodes that others read; nodes that the backend does not take are marked."""
        inside = set(chosen)
        assert context.evaluator is not None
        wanted = [
            v
            for node in chosen
            for v in node.outputs
            if v is not None and any(reader not in inside for reader, _ in v.uses)
        ]
        try:
            arrays = context.evaluator.evaluate(_model_of(chosen, wanted))
        except EvaluationError as error:
            if len(chosen) == 1:
                context.unfoldable.add(chosen[0])
                context.remark("missed", self.name, chosen[0], f"it cannot be computed: {error.what}")
                return {}
            found: dict[Value, Tensor] = {}
            for node in chosen:  # one by one, so that one bad node does not keep the others
                if all(v is None or v.constant is not None for v in node.inputs):
                    found.update(self._evaluate(context, [node]))
            return found
        return {value: Tensor.from_array(array) for value, array in zip(wanted, arrays, strict=True)}

    def _keep_or_refuse(self, context: Context, node: Node, pairs: list[tuple[Value, Tensor]]) -> None:
        growth = sum(t.nbytes for _, t in pairs) - _freed(node)
        if any(t.dtype != v.dtype and v.dtype for v, t in pairs):
            context.unfoldable.add(node)
            return
        if growth > _FREE_GROWTH:
            if growth > context.fold_budget:
                context.unfoldable.add(node)
                context.remark("missed", self.name, node, f"the file would grow by {growth} bytes")
                return
            context.fold_budget -= growth
        self._replace(context, node, pairs)

    def _replace(self, context: Context, node: Node, pairs: list[tuple[Value, Tensor]]) -> None:
        rewriter = self.rewriter(context, node, [node])
        try:
            for value, tensor in pairs:
                if value.is_graph_output and node.graph.owner is not None:
                    rewriter.refuse("the output of a body must be produced by a node")
                rewriter.replace(value, rewriter.tensor(tensor, value.name))
        except Refusal as refusal:
            context.unfoldable.add(node)
            context.remark("missed", self.name, node, refusal.reason)
            return
        rewriter.commit()


def _known_content(value: Value) -> np.ndarray | None:
    """The elements of an integer tensor that inference found out, if all are numbers."""
    content, shape = value.content, value.shape
    if content is None or shape is None or not all(isinstance(x, int) for x in (*content, *shape)):
        return None
    if value.dtype not in dtypes.INTEGER | {dtypes.BOOL} or product(shape) != len(content):
        return None
    try:
        # numpy refuses numbers that the type cannot hold
        return np.array(content, dtype=dtypes.to_numpy(value.dtype)).reshape(shape)  # type: ignore[arg-type]
    except OverflowError:
        return None


def _foldable(node: Node) -> bool:
    if node.op in ("Constant", "QuantizeLinear", "DequantizeLinear") or node.bodies or not is_deterministic(node):
        return False
    if node.domain:
        return False
    for value in node.outputs:
        if value is None:
            continue
        if not value.is_tensor or not value.dtype:
            return False
        count = 0 if value.shape is None else product(value.shape)
        if isinstance(count, int) and dtypes.nbytes(value.dtype, count) > _LARGEST:
            return False
    sizes = [v.constant.nbytes for v in node.inputs if v is not None and v.constant is not None]
    return sum(sizes) <= _LARGEST


def _freed(node: Node) -> int:
    """Bytes of constants that only this node, or nodes folded with it, read."""
    freed, seen = 0, {node}
    stack = [node]
    while stack:
        for value in stack.pop().inputs:
            if value is None or any(reader not in seen for reader, _ in value.uses):
                continue
            if value.tensor is not None:
                freed += value.tensor.nbytes
            elif value.producer is not None and value.producer not in seen:
                seen.add(value.producer)
                stack.append(value.producer)
    return freed


def _model_of(nodes: Iterable[Node], wanted: Iterable[Value]) -> ModelProto:
    """A model without inputs that computes the wanted values; values are numbered, so that names cannot clash."""
    names: dict[Value, str] = {}
    protos, initializers = [], []
    graph = None
    for node in nodes:
        graph = node.graph
        proto = NodeProto(op_type=node.op_type, domain=node.domain)
        for value in node.inputs:
            if value is not None and value not in names:
                names[value] = f"c{len(names)}"
                constant = value.constant
                assert constant is not None
                tensor = constant.to_proto(names[value])
                if constant.external is not None:
                    tensor.raw_data = bytes(constant.external.view())
                    tensor.ClearField("external_data")
                    tensor.ClearField("data_location")
                initializers.append(tensor)
            proto.input.append("" if value is None else names[value])
        for value in node.outputs:
            if value is not None:
                names[value] = f"c{len(names)}"
            proto.output.append("" if value is None else names[value])
        proto.attribute.extend(encode(key, attribute) for key, attribute in node.attributes.items())
        protos.append(proto)
    assert graph is not None
    infos = [onnx_helper.make_tensor_value_info(names[v], v.dtype, None) for v in wanted]
    body = onnx_helper.make_graph(protos, "constants", [], infos, initializers)
    imports = [onnx_helper.make_opsetid("", graph.opset())]
    return onnx_helper.make_model(body, opset_imports=imports, ir_version=max(graph.model.ir_version, 4))
