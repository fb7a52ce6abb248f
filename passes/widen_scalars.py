"""widen-scalars: a single number beside a tensor that ends in axes of extent 1 gets an axis for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter

_BROADCASTING = "Add|Sub|Mul|Div|Pow|Max|Min|PRelu|Where|Equal|Less|Greater|LessOrEqual|GreaterOrEqual"
_GELU_REACH = 3  # steps from the outermost factor of a Gelu to its Erf
_SMALL = 1 << 10  # elements: below, a run of the kernel costs more than what it wastes


def _single(value: Value | None) -> bool:
    return value is not None and value.constant is not None and value.constant.size == 1


def _has_single(node: Node) -> bool:
    return any(_single(value) for value in node.inputs)


@dataclass(frozen=True)
class WidenScalars(RewritePass):
    """Give a constant of one element the trailing axes of the tensor that it is combined with.

    Before => After
        Mul(x[N,64,512,1], 0.5)   =>   Mul(x[N,64,512,1], [[0.5]])

    Legal when
        The constant has one element and no more axes than the tensor afterwards, so that the result keeps its shape.

    Pays when
        The tensor ends in axes of extent 1 that are known, and has more than a thousand elements. ONNX Runtime's CPU
        provider combines a scalar with such a tensor element by element: 1.6 ms instead of 0.024 ms for 260,000 of
        them, measured with version 1.32. What stays are scalars by which runtimes know an operator written out: behind
        a reduction, whose result is small beside what it read, and around Erf.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "widen-scalars"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op(_BROADCASTING, where=_has_single),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        shape = node.output.shape
        if not shape or shape[-1] != 1 or node.version < 7:
            rewriter.refuse("")
        tails = next((i for i, extent in enumerate(reversed(shape)) if extent != 1), len(shape))
        rank = tails + 1
        narrow = [i for i, v in enumerate(node.inputs) if v is not None and _single(v) and (v.rank or 0) < rank]
        if not narrow or rank > len(shape) or _is_small(node):
            rewriter.refuse("")
        above = [v.producer.op for v in node.inputs if v is not None and v.producer is not None]
        if any(name.startswith("Reduce") for name in above):
            rewriter.refuse("a reduction made the tensor, behind which runtimes look for scalars")
        if _is_of_gelu(node):
            rewriter.refuse("the scalar belongs to a Gelu, which runtimes recognize as it is written")
        for index in narrow:
            value = node.inputs[index]
            assert value is not None and value.constant is not None
            wide = np.reshape(value.constant.numpy(), (1,) * rank)
            rewriter.set_input(node, index, rewriter.constant(wide, value.name))


def _is_of_gelu(node: Node) -> bool:
    """Whether Erf stands so near that the node may be a part of a Gelu written out."""
    above = below = [node]
    for _ in range(_GELU_REACH):
        above = [v.producer for one in above for v in one.inputs if v is not None and v.producer is not None]
        below = [reader for one in below for v in one.outputs if v is not None for reader in v.readers]
        if any(one.op == "Erf" for one in (*above, *below)):
            return True
    return False


def _is_small(node: Node) -> bool:
    """Whether the result has few elements for certain."""
    count = 1
    for extent in node.output.shape or ():
        if not isinstance(extent, int):
            return False
        count *= extent
    return count < _SMALL
