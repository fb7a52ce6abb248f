"""The level of structure: names, element types and shapes of inputs and outputs; every node is accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from onnx import GraphProto, ModelProto, TypeProto, ValueInfoProto

from ...compiler import dtypes
from ..engines.structure import WITHOUT_LAYER
from .levels import Level


def compare_interfaces(before: ModelProto, after: ModelProto) -> Level:
    """Whether callers see the same inputs and outputs; open dimensions may become known."""
    level = Level("proven")
    for kind in ("input", "output"):
        for problem in _differences(kind, _callers_see(before.graph, kind), _callers_see(after.graph, kind)):
            level.fail(problem)
            level.notes.append(problem)
    return level


def add_lost_nodes(level: Level, model: ModelProto, layers: Sequence[dict[str, Any]]) -> Level:
    """Fail where a node computes from what is known at run time only, and no layer comes from it."""
    named = {part for layer in layers for origin in layer["nodes"] for part in origin.split(" | ")}
    known = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        computed = any(name and name not in known for name in node.input)
        if not computed:
            known.update(node.output)
        elif node.op_type not in WITHOUT_LAYER and (node.name or f"node_of_{node.output[0]}") not in named:
            problem = f"{node.op_type} {node.name or node.output[0]} is in no layer of the network"
            level.fail(problem)
            level.notes.append(problem)
    return level


def _callers_see(graph: GraphProto, kind: str) -> list[ValueInfoProto]:
    initializers = {tensor.name for tensor in graph.initializer}
    return [info for info in (graph.input if kind == "input" else graph.output) if info.name not in initializers]


def _differences(kind: str, before: list[ValueInfoProto], after: list[ValueInfoProto]) -> Iterator[str]:
    names = [info.name for info in before], [info.name for info in after]
    if names[0] != names[1]:
        yield f"{kind}s {names[0]} became {names[1]}"
        return
    for one, other in zip(before, after, strict=True):
        want, got = _tensor(one.type), _tensor(other.type)
        if want.elem_type != got.elem_type:
            types = dtypes.name_of(want.elem_type), dtypes.name_of(got.elem_type)
            yield f"{kind} '{one.name}' of type {types[0]} became {types[1]}"
        if want.HasField("shape") and got.HasField("shape") and not _agree(want, got):
            yield f"{kind} '{one.name}' of shape {_dims(want)} became {_dims(got)}"


def _tensor(kind: TypeProto) -> TypeProto.Tensor:
    return kind.tensor_type


def _dims(tensor: TypeProto.Tensor) -> list[int | str]:
    return [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim]


def _agree(want: TypeProto.Tensor, got: TypeProto.Tensor) -> bool:
    known = _dims(want), _dims(got)
    if len(known[0]) != len(known[1]):
        return False
    return all(a == b or isinstance(a, str) or isinstance(b, str) for a, b in zip(*known, strict=True))
