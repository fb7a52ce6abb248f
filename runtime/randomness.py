"""Models that draw random numbers: both sides of a comparison are given the same seeds, so that they draw the same."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.helper import make_attribute

_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)


def random_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Nodes that draw random numbers, bodies and functions included."""
    off: set[str] = set()
    nodes: list[NodeProto] = []
    stack: list[Any] = [model.graph, *model.functions]
    while stack:
        graph = stack.pop()
        off |= {t.name for t in getattr(graph, "initializer", ()) if _is_false(t)}
        for node in graph.node:
            nodes.append(node)
            stack.extend(a.g for a in node.attribute if a.HasField("g"))
            if node.op_type == "Constant" and any(a.HasField("t") and _is_false(a.t) for a in node.attribute):
                off.add(node.output[0])
    for node in nodes:
        if node.domain in ("", "ai.onnx") and (node.op_type in _RANDOM or _trains(node, off)):
            yield node


def _is_false(tensor: TensorProto) -> bool:
    return tensor.data_type == TensorProto.BOOL and not numpy_helper.to_array(tensor).any()


def _trains(node: NodeProto, off: set[str]) -> bool:
    """True if a Dropout is in training mode, or may be told to."""
    return node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] != "" and node.input[2] not in off


def draws_random_numbers(model: ModelProto) -> bool:
    return any(True for _ in random_nodes(model))


def seeded(model: ModelProto | Path) -> ModelProto:
    """A copy in which every random node has a seed, made from its name, so that every session draws the same."""
    copy = onnx.load(str(model)) if isinstance(model, Path) else ModelProto.FromString(model.SerializeToString())
    for node in random_nodes(copy):
        if not any(a.name == "seed" for a in node.attribute):
            number = zlib.crc32((node.name or node.output[0]).encode()) % (1 << 20)
            node.attribute.append(make_attribute("seed", number if node.op_type == "Dropout" else float(number)))
    return copy
