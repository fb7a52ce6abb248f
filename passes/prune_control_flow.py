"""prune-control-flow: If, Loop and Scan compute, carry and hand out only what is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..compiler.attributes import Attribute
from ..compiler.dead_code import Narrowing
from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.control_flow import through_identities
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from ..compiler.tensor import Tensor
from .inlining.handing_over import hand_over_one


@dataclass(frozen=True)
class PruneControlFlow(RewritePass):
    """Drop outputs, carried values and scanned inputs of If, Loop and Scan that nobody needs.

    Before => After
        y, z = If(c) { p, q } else { r, s }   =>   y = If(c) { p } else { r }       when nobody reads z
        y, s = Loop(n, c, a, b) { ... b' = b + 1 }   =>   y = Loop(n, c, a) { ... }  when only b' needs b, and nobody s
        y = Loop(n, c, a, w) { a' = a * w; w }   =>   y = Loop(n, c, a) { a' = a * w }  the w outside is captured

    Legal when
        No node, body or graph output reads the output. A carried value may go if nothing that is read depends on it but
        itself; one that the body hands on unchanged is the initial value in every iteration and at the end. An output
        for which both branches of an If give the same outer value, or equal constants, is that value. Scan keeps at
        least one scanned input, which says how many iterations there are. Scan of opset 8 is left alone, and so is a
        Loop before opset 11 that would carry nothing.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "prune-control-flow"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("If|Loop|Scan"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        if not any(v is not None and v.uses for v in node.outputs):
            rewriter.refuse("")  # the whole node is dead, which is another pass's work
        if node.op == "If":
            _prune_if(node, rewriter)
            return
        body = node.bodies.get("body")
        form = None if body is None else _Form.of(node, body)
        if body is None or form is None:
            rewriter.refuse("")
        _prune_iteration(form, rewriter)


def _prune_if(node: Node, rewriter: Rewriter) -> None:
    yes, no = node.bodies.get("then_branch"), node.bodies.get("else_branch")
    if yes is None or no is None or len(yes.outputs) != len(no.outputs) or len(node.outputs) > len(no.outputs):
        rewriter.refuse("")
    kept = []
    for index, value in enumerate(node.outputs):
        if value is None or not value.uses:
            continue
        same = _same_outside(yes.outputs[index], no.outputs[index], node)
        if same is None:
            kept.append(index)
        elif isinstance(same, Tensor):
            rewriter.replace(value, rewriter.stand_in(value, same))
        else:
            hand_over_one(value, same, rewriter)
    if len(kept) == len(yes.outputs):
        rewriter.refuse("")
    if kept:
        rewriter.narrow(node, Narrowing(range(len(node.inputs)), kept, range(len(yes.inputs)), kept))
    rewriter.note(f"{len(yes.outputs) - len(kept)} outputs are not needed")


def _same_outside(one: Value, other: Value, node: Node) -> Value | Tensor | None:
    """What both branches hand out, if it is a value that they capture or one constant."""
    one, other = through_identities(one), through_identities(other)
    if one is other:
        return one if one.graph.encloses(node.graph) else None
    left, right = one.constant, other.constant
    if left is None or right is None or left.digest() != right.digest():
        return None
    return left


@dataclass(frozen=True)
class _Form:
    """Where a Loop or Scan has what: `carried` values and `scanned` inputs; the first position of carried values among
    the node's inputs, the body's inputs and the body's outputs."""

    node: Node
    body: Graph
    carried: int
    scanned: int
    first_input: int
    first_entry: int
    first_result: int

    @classmethod
    def of(cls, node: Node, body: Graph) -> _Form | None:
        if node.op == "Loop":
            form = cls(node, body, len(node.inputs) - 2, 0, 2, 2, 1)
        elif node.version >= 9:
            scanned = node.int_attr("num_scan_inputs", 0)
            form = cls(node, body, len(node.inputs) - scanned, scanned, 0, 0, 0)
        else:
            return None
        entries = form.first_entry + form.carried + form.scanned
        results = len(body.outputs) - form.first_result
        fits = form.carried >= 0 and len(body.inputs) == entries and form.carried <= len(node.outputs) <= results
        return form if fits else None

    def invariant(self) -> list[int]:
        """Carried values that the body hands on unchanged."""
        return [
            k for k in range(self.carried)
            if through_identities(self.body.outputs[self.first_result + k]) is self.body.inputs[self.first_entry + k]
        ]  # fmt: skip

    def needed(self, settled: Sequence[int]) -> tuple[set[int], set[int]]:
        """(carried values, scanned inputs) that what is read depends on, without the settled carried values."""
        body, node = self.body, self.node
        roots = list(body.outputs[: self.first_result])
        roots += [body.outputs[self.first_result + i] for i in self.read_outputs() if i not in settled]
        position = {value: i for i, value in enumerate(body.inputs)}
        carried = {i for i in self.read_outputs() if i < self.carried and i not in settled}
        scanned: set[int] = set()
        seen: set[Value] = set()
        while roots:
            value = roots.pop()
            if value in seen:
                continue
            seen.add(value)
            entry = position.get(value, -1) - self.first_entry
            if entry >= self.carried:
                scanned.add(entry - self.carried)
            elif entry >= 0 and entry not in settled:
                carried.add(entry)
                roots.append(body.outputs[self.first_result + entry])
            if value.producer is not None and value.graph is body:
                roots.extend(_read_by(value.producer))
        return carried, scanned or ({0} if node.op == "Scan" else set())

    def read_outputs(self) -> list[int]:
        return [i for i, v in enumerate(self.node.outputs) if v is not None and v.uses]


def _read_by(node: Node) -> Iterable[Value]:
    yield from (v for v in node.inputs if v is not None)
    if node.bodies:
        yield from node.captured()


def _prune_iteration(form: _Form, rewriter: Rewriter) -> None:
    node, body = form.node, form.body
    settled = form.invariant()
    carried, scanned = form.needed(settled)
    stacked = [i for i in form.read_outputs() if i >= form.carried]
    if len(carried) == form.carried and len(scanned) == form.scanned and len(stacked) == len(body.outputs) - (
        form.first_result + form.carried
    ):
        rewriter.refuse("")
    if node.op == "Loop" and node.version < 11 and not carried:
        rewriter.refuse("a Loop has to carry something before opset 11")
    outputs = [*sorted(carried), *stacked]
    scans = [form.carried + i for i in sorted(scanned)]
    moving = [*sorted(carried), *scans]
    rewriter.narrow(node, Narrowing(
        [*range(form.first_input), *(form.first_input + i for i in moving)], outputs,
        [*range(form.first_entry), *(form.first_entry + i for i in moving)],
        [*range(form.first_result), *(form.first_result + i for i in outputs)],
    ))  # fmt: skip
    for k in settled:
        start = node.inputs[form.first_input + k]
        final = node.outputs[k]
        if start is None:
            rewriter.refuse("a carried value has no initial value")
        rewriter.replace(body.inputs[form.first_entry + k], start)
        if final is not None and final.uses:
            hand_over_one(final, start, rewriter)
    if node.op == "Scan":
        _narrow_scan(form, sorted(scanned), [i - form.carried for i in stacked], rewriter)
    rewriter.note(f"{form.carried - len(carried)} carried values are not needed")


def _narrow_scan(form: _Form, scanned: Sequence[int], stacked: Sequence[int], rewriter: Rewriter) -> None:
    """The attributes that speak of scanned inputs and outputs one by one."""
    node = form.node
    rewriter.set_attribute(node, "num_scan_inputs", len(scanned))
    for name, kept in (("input", scanned), ("output", stacked)):
        for key in ("axes", "directions"):
            given = node.ints_attr(f"scan_{name}_{key}")
            if given is not None:
                chosen: Attribute = tuple(given[i] for i in kept)
                rewriter.set_attribute(node, f"scan_{name}_{key}", chosen or None)
