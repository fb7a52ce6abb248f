"""eliminate-default-inputs: optional inputs that spell out what the operator assumes without them are omitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .values.uniform_values import fill_of

# op -> inputs that the specification assumes to be 0 when they are not given
_ZERO_BY_DEFAULT: dict[str, tuple[int, ...]] = {
    "LSTM": (3, 5, 6, 7),  # B, initial_h, initial_c, P
    "GRU": (3, 5),
    "RNN": (3, 5),
}


@dataclass(frozen=True)
class EliminateDefaultInputs(RewritePass):
    """Omit bias, initial state and peepholes of a recurrent layer when they are zero.

    Before => After
        z = ConstantOfShape(Concat(2, Gather(Shape(x), 0), 64))
        y = LSTM(x, w, r, b, , z, z)                               =>   y = LSTM(x, w, r, b)

    Legal when
        Every element is known to be +0: a constant, a fill, or a view (Slice, Expand, Transpose, ...) of one. The
        operator's specification says that the input is assumed to be 0 when it is not given.

    Pays when
        Always; what computed the zeros, often from the shape of the input, disappears.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-default-inputs"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(_ZERO_BY_DEFAULT)),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        given = [i for i in _ZERO_BY_DEFAULT[node.op] if node.input(i) is not None]
        fills = {i: fill_of(node.input(i)) for i in given}
        zero = [i for i, fill in fills.items() if fill is not None and not any(fill.tobytes())]
        if not zero:
            rewriter.refuse(self._reason(match) if given else "")
        for index in zero:
            rewriter.set_input(node, index, None)
        rewriter.note(f"inputs {zero} are zero, as without them")

    @staticmethod
    def _reason(match: Match) -> str:
        states = [match.root.input(5), match.root.input(6)]
        open_to_caller = next((v.name for v in states if v is not None and v.overridable), None)
        if open_to_caller is None:
            return ""
        return f"initial state {open_to_caller} is also a graph input, so the caller may override it"
