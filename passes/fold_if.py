"""fold-if: an If whose branch is known, or does not matter, becomes that branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.attributes import bits
from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference import content_of
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .folding.determinism import is_deterministic
from .inlining.handing_over import hand_over
from .inlining.rank_demands import demanded_rank


@dataclass(frozen=True)
class FoldIf(RewritePass):
    """Replace an If by the nodes of the branch that is taken.

    Before => After
        y = If(true) { p = Relu(x); p } else { q = Neg(x); q }   =>   y = Relu(x)

    Covers a constant condition; one that follows from the dimensions (a rank, an extent that is a number, two extents
    that are the same expression); one that an enclosing If has asked already; a branch whose result has another rank
    than its reader needs (a convolution by its weight, a recurrent layer, a Transpose), so that a model that takes it
    cannot run; and branches that compute the same whatever the condition is. A negated condition swaps the branches.

    Legal when
        The condition is one element that inference knows, or both branches have the same deterministic nodes on the
        same inputs. Values that the branch captures are visible outside too; its own get names that are free there.

    Pays when
        Always: the nodes of one branch remain, and the If and the other branch go. An Identity stays where a branch
        hands a value through to a graph output, which must keep its name. A Not goes only if nothing but Ifs reads it.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "fold-if"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("If"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        yes, no = node.bodies.get("then_branch"), node.bodies.get("else_branch")
        if yes is None or no is None or len(yes.outputs) != len(no.outputs):
            rewriter.refuse("")
        taken = _taken(node, yes, no)
        if taken is None and same_graphs(yes, no):
            if not all(is_deterministic(inner) for inner in yes):
                rewriter.refuse("both branches draw random numbers")
            taken = yes
        if taken is not None:
            hand_over(node, rewriter.inline(taken, {}, moved=True), rewriter)
        else:
            _drop_negation(node, rewriter)


def _taken(node: Node, yes: Graph, no: Graph) -> Graph | None:
    """The branch that is taken whenever the model runs through, None if that depends on the inputs."""
    condition = content_of(node.input(0))
    if condition is not None and len(condition) == 1 and isinstance(condition[0], int):
        return yes if condition[0] else no
    inside = node.graph
    while inside.owner is not None:  # a branch of an If that asks the same
        owner = inside.owner
        if owner.op == "If" and owner.input(0) is node.input(0):
            return yes if owner.bodies["then_branch"] is inside else no
        inside = owner.graph
    for index, value in enumerate(node.outputs):
        rank = None if value is None else demanded_rank(value)
        if rank is not None:
            fits = [body.outputs[index].rank in (None, rank) for body in (yes, no)]
            if fits[0] != fits[1]:
                return yes if fits[0] else no
    return None


def _drop_negation(node: Node, rewriter: Rewriter) -> None:
    condition = node.inputs[0]
    negation = None if condition is None else condition.producer
    if condition is None or negation is None or negation.op != "Not":
        rewriter.refuse("the condition is not known and the branches differ")
    if not all(isinstance(r, Node) and r.op == "If" and i == 0 for r, i in condition.uses):
        rewriter.refuse("the negated condition has other readers")
    rewriter.set_input(node, 0, negation.inputs[0])
    rewriter.swap_bodies(node, "then_branch", "else_branch")


def same_graphs(one: Graph, other: Graph) -> bool:
    """True if two bodies do the same with the same values: the same nodes in the same order."""
    if len(one) != len(other) or len(one.outputs) != len(other.outputs) or len(one.inputs) != len(other.inputs):
        return False
    if one.sparse_initializers or other.sparse_initializers:
        return False
    twins: dict[Value, Value] = dict(zip(one.inputs, other.inputs))

    def equal(mine: Value | None, theirs: Value | None) -> bool:
        if mine is None or theirs is None:
            return mine is theirs
        if twins.get(mine, mine) is theirs:
            return True
        left, right = mine.constant, theirs.constant
        return left is not None and right is not None and left.digest() == right.digest()

    for left, right in zip(one, other):
        if left.bodies or right.bodies or not _same_node(left, right):
            return False
        if not all(equal(a, b) for a, b in zip(left.inputs, right.inputs)):
            return False
        twins.update((a, b) for a, b in zip(left.outputs, right.outputs) if a is not None and b is not None)
    return all(equal(a, b) for a, b in zip(one.outputs, other.outputs))


def _same_node(left: Node, right: Node) -> bool:
    if (left.op, left.overload, len(left.inputs)) != (right.op, right.overload, len(right.inputs)):
        return False
    if [v is None for v in left.outputs] != [v is None for v in right.outputs]:
        return False
    mine, theirs = left.attributes, right.attributes
    return mine.keys() == theirs.keys() and all(bits(k, v) == bits(k, theirs[k]) for k, v in mine.items())
