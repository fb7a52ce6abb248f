"""What a pass is: a frozen dataclass whose fields are its options and whose docstring is its page."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from onnx import ModelProto

from .errors import OptionError, PassError, PlanishError
from .graph import Node
from .journal import Changes, Fuel, Journal, Remark, key_of
from .model import Model
from .pattern import Match, RootPattern
from .refusal import Refusal
from .rewriter import Rewriter


class Effect(enum.Enum):
    """What a pass may do to the numbers; it picks the tolerance of the comparison."""

    EXACT = "exact"  # up to the rounding of floating point
    LOSSY = "lossy"


class Evaluator(Protocol):
    """Runs a model without inputs; handed in from outside, because passes import no backend."""

    def evaluate(self, model: ModelProto) -> list[np.ndarray]: ...


_NEAR = 2  # steps from a change that are looked at within the same run of a pass


class _Reach:
    """Some nodes and what reads them, step by step, each node once; by operator."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._frontier = list(dict.fromkeys(nodes))
        self._found = set(self._frontier)
        self._layers = [self._by_op()]

    def layers(self, levels: int) -> list[dict[str, list[Node]]]:
        """The nodes and what reads them within so many steps."""
        while len(self._layers) <= levels and self._frontier:
            self._frontier = list(dict.fromkeys(n for n in _readers(self._frontier) if n not in self._found))
            self._found.update(self._frontier)
            self._layers.append(self._by_op())
        return self._layers[: levels + 1]

    def _by_op(self) -> dict[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self._frontier:
            found.setdefault(node.op, []).append(node)
        return found


def _readers(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        for value in node.outputs:
            if value is not None:
                yield from value.readers


@dataclass
class Context:
    """What passes share during a run: the model, where to report, what may be used.

    target: "onnx" (standard operators only), "ort" or "tensorrt". evaluator: None means that only what needs no backend
    is computed. fold_budget: bytes by which folding may yet make the model larger. unfoldable: nodes that could not be
    computed. memory: what passes remember from one run to the next, by name.
    """

    model: Model
    journal: Journal = field(default_factory=Journal)
    fuel: Fuel = field(default_factory=Fuel)
    changes: Changes = field(default_factory=Changes)
    target: str = "onnx"
    evaluator: Evaluator | None = None
    fold_budget: int = 16 << 20
    unfoldable: set[Node] = field(default_factory=set)
    memory: dict[str, object] = field(default_factory=dict)
    _by_op: dict[str, dict[Node, None]] = field(default_factory=dict)
    _indexed: int = -1
    _reaches: dict[int, _Reach] = field(default_factory=dict)
    _reached: int = 0

    def nodes_of(self, ops: Iterable[str]) -> list[Node]:
        """The living nodes of some operators, without a walk over all others."""
        fresh = self.model.nodes() if self._indexed < 0 else self.changes.touched[self._indexed :]
        for node in fresh:
            self._by_op.setdefault(node.op, {})[node] = None
        self._indexed = len(self.changes.touched)
        return [node for name in sorted(ops) for node in self._by_op.get(name, ()) if node.alive]

    def affected(self, ops: Iterable[str], since: int, levels: int) -> list[Node]:
        """The living nodes of some operators that were touched since, or read such a node within `levels` steps.

        Between two rewrites the answers of one `since` are kept: most passes ask and find nothing to do.
        """
        now = len(self.changes.touched)
        if self._reached != now:
            self._reaches.clear()
            self._reached = now
        reach = self._reaches.get(since)
        if reach is None:
            reach = self._reaches[since] = _Reach(self.changes.touched[since:])
        layers = reach.layers(levels)
        names = sorted(ops)
        return [node for layer in layers for name in names for node in layer.get(name, ()) if node.alive]

    def replace_model(self, model: Model) -> None:
        """Go on with another model, all of whose nodes count as touched; what was known of the old one is forgotten."""
        for node in self.model.nodes():
            node.alive = False
        self.model = model
        self.unfoldable.clear()
        self.memory.clear()
        self.changes.touched.extend(model.nodes())

    def remark(self, kind: Any, pass_name: str, node: Node, text: str) -> None:
        self.journal.add_remark(Remark(kind, pass_name, node.label, node.graph.path, text))


@dataclass(frozen=True)
class Pass(ABC):
    """A transformation of a whole model. Subclasses are frozen dataclasses; their fields are the options."""

    name: ClassVar[str]
    effect: ClassVar[Effect] = Effect.EXACT

    @abstractmethod
    def run(self, context: Context, since: int) -> None:
        """Transform `context.model`; `since`: how much of `context.changes.touched` earlier runs have seen."""

    def rewriter(self, context: Context, anchor: Node, matched: Iterable[Node]) -> Rewriter:
        """A plan for one rewrite of this pass."""
        plan = Rewriter(self.name, anchor, list(matched), context.journal, context.fuel, context.changes)
        plan.target = context.target
        return plan

    @classmethod
    def page(cls) -> str:
        """The pass's page: its docstring."""
        return inspect.cleandoc(cls.__doc__ or "")

    def __str__(self) -> str:
        options = [
            f"{f.name.replace('_', '-')}={_option_text(getattr(self, f.name))}"
            for f in dataclasses.fields(self)
            if getattr(self, f.name) != f.default
        ]
        return self.name + ("{" + ",".join(options) + "}" if options else "")

    @classmethod
    def from_options(cls, options: dict[str, str]) -> Pass:
        """An instance from option texts, as they stand between braces in a pipeline."""
        fields = {f.name.replace("_", "-"): f for f in dataclasses.fields(cls)}
        values: dict[str, object] = {}
        for key, text in options.items():
            if key not in fields:
                known = ", ".join(fields) or "none"
                raise OptionError(f"pass {cls.name} has no option '{key}'", hint=f"its options: {known}")
            name = fields[key].name
            values[name] = _option_value(cls.name, key, text, typing.get_type_hints(cls)[name])
        return cls(**values)


class RewritePass(Pass):
    """A pass that looks at places where a pattern fits, each by itself."""

    patterns: ClassVar[tuple[RootPattern, ...]]

    @abstractmethod
    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        """Plan the rewrite of one match: check legality and cost, call `rewriter.refuse` or plan edits."""

    def run(self, context: Context, since: int) -> None:
        roots = frozenset().union(*(p.ops for p in self.patterns))
        queue = self._candidates(context, since, roots)
        position = 0
        while position < len(queue):
            node = queue[position]
            position += 1
            if not node.alive:
                continue
            known = len(context.changes.touched)
            if self._try(context, node):
                # What is farther away comes with the next round; here only what goes on at this place.
                queue.extend(context.affected(roots, known, min(self.depth - 1, _NEAR)))

    @property
    def depth(self) -> int:
        return max(p.depth for p in self.patterns)

    def _candidates(self, context: Context, since: int, roots: frozenset[str]) -> list[Node]:
        if since < 0:
            return context.nodes_of(roots)
        return context.affected(roots, since, self.depth - 1)

    def _try(self, context: Context, node: Node) -> bool:
        """Apply the first pattern that fits and is not refused."""
        if context.fuel.held_back and context.fuel.holds_back(key_of(self.name, node)):
            return False
        try:
            return self._apply(context, node)
        except PlanishError:
            raise
        except Exception as error:
            what = f"pass {self.name} failed: {type(error).__name__}: {error}"
            raise PassError(what, where=node.label, rewrite=key_of(self.name, node)) from error

    def _apply(self, context: Context, node: Node) -> bool:
        for pattern in self.patterns:
            found = pattern.match_root(node)
            if found is None:
                continue
            try:
                rewriter = self.rewriter(context, node, found.nodes)
                if found.near_miss:
                    raise Refusal(found.near_miss)
                self.rewrite(found, rewriter)
            except Refusal as refusal:
                if refusal.reason:
                    context.remark("missed", self.name, node, refusal.reason)
                continue
            if rewriter.commit():
                return True
        return False


_PLAIN = re.compile(r"[^\s,={}\"](?:[^,={}\"\n]*[^\s,={}\"])?")


def _option_text(value: object) -> str:
    """The text of an option's value in a pipeline; quoted as in JSON where it would not be read back otherwise."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _option_value(pass_name: str, key: str, text: str, kind: Any) -> object:
    """The value of an option, whose type is bool, int, float or str."""
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError) as error:
        raise OptionError(f"pass {pass_name}: option {key}={text} is not of type {kind.__name__}") from error


_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*$")


def check_name(name: str) -> None:
    """Pass names are lower-case words joined by hyphens."""
    if not _NAME.match(name):
        raise OptionError(f"'{name}' is not a pass name (lower-case words joined by hyphens)")
