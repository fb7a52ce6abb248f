"""Copies of nodes and bodies, for what is inlined or unrolled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnx import AttributeProto

from .attributes import Attribute, AttributeReference
from .graph import Graph, Node, Value
from .model import Model


@dataclass
class BodyCopy:
    """One copy of a body in the making.

    values: what stands for the values of the body, None for an input that is omitted. attributes: what a call binds.
    moved: the original goes away, so that its names become free.
    """

    model: Model
    values: dict[Value, Value | None]
    attributes: Mapping[str, Attribute] | None
    moved: bool

    def of(self, value: Value | None) -> Value | None:
        """What stands for a value; one of an enclosing graph stands for itself."""
        return None if value is None else self.values.get(value, value)

    def name(self, name: str) -> str:
        """The name of the copy of a value."""
        return name if self.moved and name not in self.model.repeated_names else self.model.fresh_name(name)

    def twin(self, value: Value, graph: Graph) -> Value:
        """A value of `graph` like one of the body, without a name; it stands for that one from now on."""
        twin = Value("", graph)
        twin.dtype, twin.shape, twin.content = value.dtype, value.shape, value.content
        twin.declared, twin.tensor, twin.overridable = value.declared, value.tensor, value.overridable
        self.values[value] = twin
        return twin

    def body(self, source: Graph, owner: Node) -> Graph:
        """The copy of a body of one of the nodes, linked and complete."""
        graph = Graph(self.model, source.name, owner, source.proto)
        graph.annotating, graph.strays = set(source.annotating), set(source.strays)
        graph.inputs = [self._named_twin(value, graph) for value in source.inputs]
        for value in source.initializers:
            known = self.values.get(value) if value in source.inputs else None
            graph.initializers[known or self._named_twin(value, graph)] = None
        for value, tensor in source.sparse_initializers.items():
            graph.sparse_initializers[self._named_twin(value, graph)] = tensor
        for node in source:
            fresh = duplicate(node, graph, self.attributes)
            fresh.inputs = [self.of(value) for value in node.inputs]
            graph.insert(fresh)
            fresh.bodies = {key: self.body(inner, fresh) for key, inner in node.bodies.items()}
            for index, output in enumerate(node.outputs):
                made = None if output is None else self._named_twin(output, graph)
                if made is not None:
                    made.producer, made.index = fresh, index
                fresh.outputs.append(made)
        outputs = [self.of(value) for value in source.outputs]
        graph.set_outputs([value for value in outputs if value is not None])
        return graph

    def _named_twin(self, value: Value, graph: Graph) -> Value:
        twin = self.twin(value, graph)
        twin.name = self.name(value.name)
        return twin


def duplicate(node: Node, graph: Graph, attributes: Mapping[str, Attribute] | None) -> Node:
    """A node of `graph` like `node`, with no inputs, outputs or bodies yet, and with a function's parameters bound."""
    fresh = Node(node.op_type, node.domain, graph, node.proto)
    if node.is_left_alone:
        fresh.leave_alone()
    fresh.name, fresh.overload, fresh.origins = node.name, node.overload, node.origins
    fresh.rewritten_by, fresh.provenance_changed = node.rewritten_by, node.provenance_changed
    fresh.copy_attributes(node)
    if attributes is not None:
        for name, value in list(node.attributes.items()):
            if isinstance(value, AttributeReference):
                fresh.set_attribute(name, _bound(name, attributes.get(value.proto.ref_attr_name)))
    return fresh


def _bound(name: str, value: Attribute) -> Attribute:
    """What a call binds; inside of a function that may be a parameter again, under the name of the node's attribute."""
    if not isinstance(value, AttributeReference):
        return value
    proto = AttributeProto()
    proto.CopyFrom(value.proto)
    proto.name = name
    return AttributeReference(proto)
