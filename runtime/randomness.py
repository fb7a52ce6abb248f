"""Models that draw random numbers: both sides of a comparison are given the same seeds, so that they draw the same."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto
from onnx.helper import make_attribute

_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)


def random_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Nodes that draw random numbers, or may (a Dropout that is told its mode), bodies and functions included."""
    stack = [model.graph.node, *(function.node for function in model.functions)]
    while stack:
        for node in stack.pop():
            trained = node.op_type == "Dropout" and len(node.input) > 2
            if (node.op_type in _RANDOM or trained) and node.domain in ("", "ai.onnx"):
                yield node
            stack.extend(a.g.node for a in node.attribute if a.HasField("g"))


def draws_random_numbers(model: ModelProto) -> bool:
    return any(True for _ in random_nodes(model))


def seeded(model: ModelProto | Path) -> ModelProto:
    """A copy in which every random node has a seed, made from its name, so that every session draws the same."""
    copy = onnx.load(str(model)) if isinstance(model, Path) else ModelProto.FromString(model.SerializeToString())
    for node in random_nodes(copy):
        if not any(a.name == "seed" for a in node.attribute):
            name = node.name or node.output[0]
            node.attribute.append(make_attribute("seed", float(zlib.crc32(name.encode()) % (1 << 20))))
    return copy
