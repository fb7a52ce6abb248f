"""assemble-vectors: a small vector that was moved about is put together from its elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Node, Shape, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .values.readers import dying

_LONGEST = 32  # elements
_FARTHEST = 24  # nodes among which the elements are looked for


@dataclass(frozen=True)
class AssembleVectors(RewritePass):
    """Concatenate numbers and elements where a shape or a list of pads was reshaped, transposed, sliced or picked.

    Before => After
        Reshape(Transpose(Slice(Reshape(Concat(a, [0, 0, 0]), [2, 2]), ::-1)), [4])   =>   Concat([0], [0], [0], a)

    Legal when
        Inference knows every element as a number or as an expression of the dimensions, and a vector from which this
        one was made holds the same expression (see fold-constants for vectors that are all numbers).

    Pays when
        More nodes than the one Concat are no longer read.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "assemble-vectors"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Reshape|Slice|Transpose|Gather|Squeeze|Unsqueeze|Flatten"),)

    @property
    def depth(self) -> int:
        return 6

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        result = root.output
        content = result.content
        if content is None or result.rank != 1 or not 1 < len(content) <= _LONGEST:
            rewriter.refuse("")
        if result.dtype not in (dtypes.INT32, dtypes.INT64) or all(isinstance(n, int) for n in content):
            rewriter.refuse("")
        before = _before(root)
        pieces = _pieces(content, _vectors(before, result.dtype))
        if pieces is None:
            rewriter.refuse("no vector that it was made of holds all of its elements")
        kept = {node for piece in pieces if isinstance(piece, Value) for node in _upstream(piece, before)}
        dead = dying(root, [node for node in before if node not in kept])
        if len(dead) <= 1:
            rewriter.refuse("it would not take fewer nodes")
        rewriter.include([node for node in dead if node is not root])
        kind = dtypes.to_numpy(result.dtype)
        operands = [
            piece if isinstance(piece, Value) else rewriter.constant(np.array(piece, kind), f"{result.name}_part")
            for piece in pieces
        ]
        rewriter.replace(result, rewriter.op("Concat", operands, axis=0))


def _before(root: Node) -> list[Node]:
    """The nodes that lead to the root, nearest first, as many as are looked at."""
    found: dict[Node, None] = {}
    pending = [root]
    while pending and len(found) < _FARTHEST:
        for value in pending.pop(0).inputs:
            node = None if value is None else value.producer
            if node is not None and node.graph is root.graph and node not in found and node.op != "Constant":
                found[node] = None
                pending.append(node)
    return list(found)


def _vectors(nodes: Sequence[Node], dtype: int) -> list[Value]:
    """Vectors of known elements that these nodes make, the longest first."""
    values = [v for node in nodes for v in node.outputs if v is not None and v.rank == 1 and v.dtype == dtype]
    return sorted((v for v in values if v.content), key=lambda v: -len(v.content or ()))


def _pieces(content: Shape, vectors: Sequence[Value]) -> list[Value | list[int]] | None:
    """Numbers and vectors that together have this content; None if some element is in none of them."""
    pieces: list[Value | list[int]] = []
    at = 0
    while at < len(content):
        element = content[at]
        if isinstance(element, int):
            if pieces and isinstance(pieces[-1], list):
                pieces[-1].append(element)
            else:
                pieces.append([element])
            at += 1
            continue
        fitting = (v for v in vectors if v.content == content[at : at + len(v.content or ())])
        vector = next(fitting, None)
        if vector is None or vector.content is None:
            return None
        pieces.append(vector)
        at += len(vector.content)
    return pieces


def _upstream(value: Value, nodes: Sequence[Node]) -> set[Node]:
    """What of these nodes leads to a value, its producer among them."""
    found: set[Node] = set()
    pending = [value.producer]
    while pending:
        node = pending.pop()
        if node is not None and node in nodes and node not in found:
            found.add(node)
            pending += [v.producer for v in node.inputs if v is not None]
    return found
