"""What stands for a call when the body of its function takes its place."""

from __future__ import annotations

from functools import cache

import onnx
from onnx import AttributeProto

from ...compiler.attributes import Attribute, AttributeReference, decode
from ...compiler.graph import Graph, Node
from ...compiler.refusal import Refusal


def bindings(call: Node, function: Graph) -> dict[str, Attribute]:
    """The attributes of the body's nodes that are parameters; refuses where a graph is one."""
    if call.bodies or any(
        isinstance(value, AttributeReference) and value.proto.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS)
        for graph in function.nested_graphs() for node in graph for value in node.attributes.values()
    ):  # fmt: skip
        raise Refusal("a graph is a parameter of the function")
    assert function.function_proto is not None
    defaults = {a.name: decode(a, function.model.folder) for a in function.function_proto.attribute_proto}
    return {**defaults, **call.attributes}


def foreign_domains(caller: Graph, function: Graph) -> dict[str, int]:
    """Operator sets that the caller does not import yet; refuses where an operator would mean something else."""
    foreign: dict[str, int] = {}
    for graph in function.nested_graphs():
        for node in graph:
            mine, theirs = caller.opset(node.domain), graph.opset(node.domain)
            if mine == theirs:
                continue
            if not mine and caller.root.function_opsets is None:
                foreign[node.domain] = theirs
            elif not _same_operator(node.op_type, node.domain, mine, theirs):
                raise Refusal(f"{node.op} is of opset {theirs} in the function and {mine} in the caller")
    return foreign


@cache
def _same_operator(op_type: str, domain: str, one: int, other: int) -> bool:
    if not (onnx.defs.has(op_type, one, domain) and onnx.defs.has(op_type, other, domain)):
        return False
    versions = {onnx.defs.get_schema(op_type, version, domain).since_version for version in (one, other)}
    return len(versions) == 1
