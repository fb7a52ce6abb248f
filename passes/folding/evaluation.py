"""Computes nodes whose inputs are constants: in numpy where that is exact, else together in one run of the backend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto
from onnx import helper as onnx_helper

from ...compiler import dtypes
from ...compiler.attributes import encode
from ...compiler.errors import EvaluationError
from ...compiler.graph import Node, Value
from ...compiler.graph_pass import Evaluator
from ...compiler.symbolic import product
from ...compiler.tensor import Tensor
from ...compiler.writing import node_proto
from .exact_kernels import compute
from .exact_movement import LARGEST, Undefined
from .plan import Plan

RETAGS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
_BOUNDED = frozenset({"NonZero", "Unique", "Compress", "TopK", "NonMaxSuppression", "StringSplit"})  # by their inputs


@dataclass
class Evaluation:
    """Computes the nodes of a plan into its results, and notes those that were not computed.

    failures: why the backend could not. unsized: nodes whose result may be of any size, as far as is known now.
    """

    plan: Plan
    evaluator: Evaluator | None
    failures: dict[Node, str] = field(default_factory=dict)
    unsized: list[Node] = field(default_factory=list)

    def run(self, nodes: Sequence[Node]) -> None:
        """Compute the nodes, which are in order and read constants, results or each other, or equals of these."""
        left: dict[Node, None] = {}
        for node in nodes:
            if not self._missing(node):
                continue
            available = all(v is None or self._tensor(v) is not None for v in node.inputs)
            try:
                if available and self._in_place(node):
                    continue
            except Undefined as error:
                self.failures[node] = str(error)
                continue
            if node.bodies:
                if available:
                    self._alone(node)
                continue
            pending = [v for v in node.inputs if v is not None and self._tensor(v) is None]
            if all(self.plan.canonical(v).producer in left for v in pending):
                if self._is_bounded(node, available):
                    left[node] = None
                else:
                    self.unsized.append(node)
        versions: dict[int, list[Node]] = {}
        for node in left:
            versions.setdefault(node.version, []).append(node)
        for batch in versions.values():
            self._with_backend(batch)

    def _tensor(self, value: Value) -> Tensor | None:
        return self.plan.results.get(self.plan.canonical(value)) or value.constant

    def _missing(self, node: Node) -> list[Value]:
        """Outputs that somebody reads, of the node or an equal one, and that are not known."""
        return [
            value for index, value in enumerate(node.outputs)
            if value is not None and value not in self.plan.results
            and any(twin.uses for twin in self.plan.twins(node, index))
        ]  # fmt: skip

    def _in_place(self, node: Node) -> bool:
        tensors = [None if v is None else self._tensor(v) for v in node.inputs]
        first = tensors[0] if tensors else None
        shape = node.output.shape if node.op in RETAGS else None
        if first is not None and shape is not None and all(isinstance(d, int) for d in shape):
            numbers = tuple(d for d in shape if isinstance(d, int))
            self.plan.results[node.output] = first.reshaped(numbers)
            return True
        arrays = compute(node, [None if t is None else t.numpy() for t in tensors])
        if arrays is None:
            return False
        for value, array in zip(node.outputs, arrays):
            if value is not None:
                self.plan.results[value] = Tensor.from_array(array)
        return True

    def _alone(self, node: Node) -> None:
        """Compute a node with bodies, which keeps its names for their sake."""
        wanted = [v for v in node.outputs if v is not None and v.uses]
        read = dict.fromkeys([*(v for v in node.inputs if v is not None), *node.captured()])
        tensors = {value.name: self._tensor(value) for value in read}
        infos = [onnx_helper.make_tensor_value_info(v.name, v.dtype, None) for v in wanted]
        weights = [tensor.to_inline_proto(name) for name, tensor in tensors.items() if tensor is not None]
        graph = onnx_helper.make_graph([node_proto(node)], "constants", [], infos, weights)
        imports = [onnx_helper.make_opsetid("", node.version)]
        model = onnx_helper.make_model(graph, opset_imports=imports, ir_version=max(node.graph.model.ir_version, 4))
        self._keep(wanted, model, [node])

    def _keep(self, wanted: Sequence[Value], model: ModelProto, nodes: Sequence[Node]) -> bool:
        """Run a model and note what it gives; of a single node also that it cannot be run."""
        if self.evaluator is None:
            self.failures.update((node, "there is no backend that computes it") for node in nodes)
            return True
        try:
            arrays = self.evaluator.evaluate(model)
        except EvaluationError:
            if len(nodes) == 1:
                self.failures[nodes[0]] = "the backend cannot compute it"
            return False
        self.plan.results.update(zip(wanted, (Tensor.from_array(np.asarray(a)) for a in arrays), strict=True))
        return True

    def _is_bounded(self, node: Node, available: bool) -> bool:
        """True if the results are known to be small enough to be made, and to be made without harm."""
        if node.op in ("Div", "Mod") and node.output.dtype in dtypes.INTEGER:
            return False  # a kernel that divides an integer by 0 ends the process; numpy has its turn later
        sizes = [None if v.shape is None else product(v.shape) for v in node.outputs if v is not None]
        if all(isinstance(size, int) for size in sizes) or node.op in _BOUNDED:
            return True
        return node.op == "Range" and available and self._range_is_short(node)

    def _range_is_short(self, node: Node) -> bool:
        start, limit, step = (float(t.numpy()) for v in node.inputs if v is not None and (t := self._tensor(v)))
        return step != 0 and abs(limit - start) / abs(step) * 8 <= LARGEST

    def _with_backend(self, nodes: list[Node]) -> None:
        inside = set(nodes)
        wanted = []
        for node in nodes:
            for index, value in enumerate(node.outputs):
                readers = [reader for twin in self.plan.twins(node, index) for reader, _ in twin.uses]
                if value is not None and any(reader not in inside for reader in readers):
                    wanted.append(value)
        if self._keep(wanted, _model_of(nodes, wanted, self.plan), nodes) or len(nodes) == 1:
            return
        for node in nodes:  # one by one, so that one bad node does not keep the others
            if all(v is None or self._tensor(v) is not None for v in node.inputs):
                self._with_backend([node])


def _model_of(nodes: Iterable[Node], wanted: Sequence[Value], plan: Plan) -> ModelProto:
    """A model without inputs that computes the wanted values; values are numbered, so that names cannot clash."""
    names: dict[Value, str] = {}
    protos, initializers = [], []
    version, ir_version = 0, 0
    for node in nodes:
        version, ir_version = node.version, node.graph.model.ir_version
        proto = NodeProto(op_type=node.op_type, domain=node.domain)
        for value in [None if v is None else plan.canonical(v) for v in node.inputs]:
            if value is not None and value not in names:
                names[value] = f"c{len(names)}"
                tensor = plan.results.get(value) or value.constant
                assert tensor is not None
                initializers.append(tensor.to_inline_proto(names[value]))
            proto.input.append("" if value is None else names[value])
        for value in node.outputs:
            if value is not None:
                names[value] = f"c{len(names)}"
            proto.output.append("" if value is None else names[value])
        proto.attribute.extend(encode(key, attribute) for key, attribute in node.attributes.items())
        protos.append(proto)
    infos = [onnx_helper.make_tensor_value_info(names[v], v.dtype, None) for v in wanted]
    body = onnx_helper.make_graph(protos, "constants", [], infos, initializers)
    imports = [onnx_helper.make_opsetid("", version)]
    return onnx_helper.make_model(body, opset_imports=imports, ir_version=max(ir_version, 4))
