"""The log of a run: every rewrite that was applied and every remark on one that was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from .graph import Node

RemarkKind = Literal["applied", "missed", "analysis"]


@dataclass(frozen=True, slots=True)
class Remark:
    """What a pass has to say about a place: kind, pass, node (its label), scope (path of the graph), text."""

    kind: RemarkKind
    pass_name: str
    node: str
    scope: str
    text: str

    def __str__(self) -> str:
        place = f"{self.scope}/{self.node}" if self.scope else self.node
        return f"{self.kind:8} {self.pass_name:28} {place}: {self.text}"


def key_of(pass_name: str, anchor: Node) -> str:
    """The key of a rewrite of this pass around `anchor`, before it is applied."""
    return _key(pass_name, anchor.graph.path, anchor.label)


def _key(pass_name: str, scope: str, anchor: str) -> str:
    return f"{pass_name}@{scope}/{anchor}"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One applied rewrite. removed, added: (op, label) of the nodes that went and came; changed: edited in place."""

    number: int
    pass_name: str
    anchor: str
    scope: str
    removed: tuple[tuple[str, str], ...]
    added: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @property
    def key(self) -> str:
        """Names the rewrite independently of its number, so that it can be held back in another run."""
        return _key(self.pass_name, self.scope, self.anchor)

    def __str__(self) -> str:
        before = ", ".join(f"{op} {label}" for op, label in self.removed) or "nothing"
        after = ", ".join(f"{op} {label}" for op, label in self.added + self.changed) or "nothing"
        return f"{before} -> {after}" + (f" ({self.note})" if self.note else "")

    @property
    def remark(self) -> Remark:
        """The rewrite as a remark."""
        return Remark("applied", self.pass_name, self.anchor, self.scope, str(self))


@dataclass(slots=True)
class PassRun:
    """One run of one pass: where it stands in the pipeline, what it did, how long it took."""

    name: str
    round: int
    seconds: float = 0.0
    rewrites: list[Rewrite] = field(default_factory=list)


class Journal:
    """Collects rewrites, remarks (each once) and pass runs, in order."""

    def __init__(self) -> None:
        self.runs: list[PassRun] = []
        self._entries: list[Remark | Rewrite] = []
        self._known: set[Remark] = set()
        self._count = 0

    @property
    def count(self) -> int:
        """Number of rewrites applied so far."""
        return self._count

    @property
    def remarks(self) -> list[Remark]:
        return [entry.remark if isinstance(entry, Rewrite) else entry for entry in self._entries]

    def rewrites(self) -> Iterator[Rewrite]:
        for run in self.runs:
            yield from run.rewrites

    def open_run(self, name: str, round_number: int) -> PassRun:
        run = PassRun(name, round_number)
        self.runs.append(run)
        return run

    def add_rewrite(self, rewrite: Rewrite) -> None:
        if not self.runs:
            self.open_run(rewrite.pass_name, 0)
        self._count += 1
        self.runs[-1].rewrites.append(rewrite)
        self._entries.append(rewrite)

    def add_remark(self, remark: Remark) -> None:
        if remark not in self._known:
            self._known.add(remark)
            self._entries.append(remark)


class Fuel:
    """Lets only some rewrites happen: the first `limit`, and none whose key, or whose pass, is held back.

    Runs are deterministic, so the state after n rewrites is the state of every longer run at that point: a wrong
    result is traced to its rewrite by halving n.
    """

    def __init__(self, limit: int | None = None, held_back: frozenset[str] = frozenset()) -> None:
        self.limit = limit
        self.held_back = held_back

    def allows(self, key: str, done: int) -> bool:
        return (self.limit is None or done < self.limit) and not self.holds_back(key)

    def holds_back(self, key: str) -> bool:
        return key in self.held_back or key.partition("@")[0] in self.held_back


class Changes:
    """Nodes that rewrites touched, in order; each pass remembers how far it has read.

    commits: how many rewrites there were.
    """

    def __init__(self) -> None:
        self.touched: list[Node] = []
        self.commits = 0
        self._notes: dict[object, object] = {}
        self._notes_as_of = (0, 0)

    def record(self, touched: Iterable[Node]) -> None:
        """Note that a rewrite was applied, and what it touched."""
        self.commits += 1
        self.touched.extend(touched)

    def notes(self) -> dict[object, object]:
        """A place for what was worked out about the graph; empty again after every change."""
        now = (self.commits, len(self.touched))
        if now != self._notes_as_of:
            self._notes, self._notes_as_of = {}, now
        return self._notes
