"""How branches that became one are handed to their readers: through a Concat that vanishes, or a Split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...compiler.graph import Node, Value
from ...compiler.rewriter import Rewriter
from .branches import Bundle


@dataclass(frozen=True)
class Run:
    """Inputs of a Concat, from `first` on, that are all branches and have no other reader."""

    concat: Node
    first: int
    members: tuple[int, ...]

    @property
    def is_everything(self) -> bool:
        return len(self.members) == len(self.concat.inputs)


@dataclass(frozen=True)
class Arrangement:
    """In which order the branches stand in the whole, and what is taken out of it.

    runs: stretches that a Concat would put together anyway. loose: the other branches. Runs come first.
    """

    runs: tuple[Run, ...]
    loose: tuple[int, ...]

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(i for run in self.runs for i in run.members) + self.loose

    @property
    def concats(self) -> list[Node]:
        return list(dict.fromkeys(run.concat for run in self.runs))


def arrange(bundle: Bundle, fixed: bool = False) -> Arrangement:
    """The arrangement that makes most of the Concats behind the branches; fixed: the order is given."""
    runs: list[Run] = []
    place = {value: i for i, value in enumerate(bundle.values)}
    for value in bundle.values:
        concat = value.sole_reader
        if concat is None or concat.op != "Concat" or any(run.concat is concat for run in runs):
            continue
        if concat.graph is bundle.values[0].graph and _axis_of(concat) == bundle.axis:
            runs += _runs_of(concat, place, fixed)
    taken = {i for run in runs for i in run.members}
    loose = tuple(i for i in range(len(bundle.values)) if i not in taken)
    found = Arrangement(tuple(runs), loose)
    if fixed and found.order != tuple(range(len(bundle.values))):
        return Arrangement((), tuple(range(len(bundle.values))))
    return found


def _axis_of(concat: Node) -> int | None:
    rank = concat.output.rank
    axis = concat.int_attr("axis", 1)
    return None if rank is None else axis + rank if axis < 0 else axis


def _runs_of(concat: Node, place: dict[Value, int], fixed: bool) -> list[Run]:
    found: list[Run] = []
    members: list[int] = []
    for position, value in enumerate([*concat.inputs, None]):
        index = None if value is None or len(value.uses) > 1 else place.get(value)
        if index is not None and not (fixed and members and index != members[-1] + 1):
            members.append(index)
            continue
        if len(members) > 1:
            found.append(Run(concat, position - len(members), tuple(members)))
        members = [] if index is None else [index]
    return found


def hand_out(whole: Value, bundle: Bundle, arrangement: Arrangement, rewriter: Rewriter) -> None:
    """Plan what comes between the whole and the readers of the branches."""
    groups = [run.members for run in arrangement.runs] + [(i,) for i in arrangement.loose]
    parts = [whole]
    if len(groups) > 1:
        sizes = [sum(bundle.sizes[i] for i in members) for members in groups]
        parts = split(whole, bundle.axis, sizes, rewriter)
    runs = arrangement.runs
    for concat in arrangement.concats:
        mine = [(run, part) for run, part in zip(runs, parts) if run.concat is concat]
        if mine[0][0].is_everything:
            rewriter.replace(concat.output, mine[0][1])
            continue
        inputs: list[Value | None] = list(concat.inputs)
        for run, part in sorted(mine, key=lambda pair: -pair[0].first):
            inputs[run.first : run.first + len(run.members)] = [part]
        rewriter.replace(concat.output, rewriter.clone(concat, inputs))
    for index, part in zip(arrangement.loose, parts[len(runs) :]):
        rewriter.replace(bundle.values[index], part)


def split(value: Value, axis: int, sizes: Sequence[int], rewriter: Rewriter) -> list[Value]:
    """A Split in the form of the model's opset."""
    if rewriter.opset() < 13:
        return rewriter.ops("Split", [value], len(sizes), axis=axis, split=tuple(sizes))
    return rewriter.ops("Split", [value, rewriter.ints(sizes, "split")], len(sizes), axis=axis)


def slice_of(value: Value, axis: int, start: int, end: int, rewriter: Rewriter) -> Value:
    """A Slice of one interval in the form of the model's opset."""
    if rewriter.opset() < 10:
        return rewriter.op("Slice", [value], axes=(axis,), starts=(start,), ends=(end,))
    limits = [rewriter.ints([n], hint) for n, hint in ((start, "start"), (end, "end"), (axis, "axis"))]
    return rewriter.op("Slice", [value, *limits])
