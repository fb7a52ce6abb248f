"""Pipelines: text that says which passes run in which order, and the loop that runs them.

    eliminate-dead-nodes,(fold-constants,fuse-conv-bn{...})*,eliminate-common-subexpressions

Items are separated by commas; options stand in braces; a group in parentheses with a star is repeated until a round
changes nothing; the name of a pipeline stands for its stages. `str(Pipeline)` gives the text back.
"""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .errors import OptionError, PassError, PlanishError
from .garbage import collection_paused
from .graph_pass import Context, Pass
from .order import sort_nodes
from .verify import verify

MAX_ROUNDS = 100


@dataclass(frozen=True)
class Group:
    """Passes that are repeated together until nothing changes."""

    passes: tuple[Pass, ...]

    def __str__(self) -> str:
        return "(" + ",".join(str(p) for p in self.passes) + ")*"


@dataclass(frozen=True)
class Pipeline:
    """A sequence of passes and groups."""

    stages: tuple[Pass | Group, ...]

    def __str__(self) -> str:
        return ",".join(str(stage) for stage in self.stages)

    def passes(self) -> Iterable[Pass]:
        for stage in self.stages:
            yield from stage.passes if isinstance(stage, Group) else (stage,)

    def without(self, names: Iterable[str]) -> Pipeline:
        """The same pipeline with some passes left out."""
        unwanted = set(names)
        stages: list[Pass | Group] = []
        for stage in self.stages:
            if isinstance(stage, Group):
                kept = tuple(p for p in stage.passes if p.name not in unwanted)
                if kept:
                    stages.append(Group(kept))
            elif stage.name not in unwanted:
                stages.append(stage)
        return Pipeline(tuple(stages))


_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ITEM = re.compile(rf"\s*([A-Za-z0-9_.:-]+)\s*(?:\{{((?:[^{{}}\"]|{_QUOTED})*)\}})?\s*")
_OPTION = re.compile(rf"\s*([^=,\"]*?)\s*(?:=\s*({_QUOTED}|[^,\"]*?)\s*)?(?:,|$)")


def parse(text: str, registry: Mapping[str, type[Pass]], named: Mapping[str, str] = {}) -> Pipeline:
    """Read pipeline text; `named` gives the texts of named pipelines.

    Raises:
        OptionError: unknown pass or option, or text that does not fit the grammar, with the position.
    """
    text = text.rstrip()
    if not text:
        return Pipeline(())
    stages, position = _items(text, 0, registry, named, nested=False)
    if position != len(text):
        raise OptionError(f"pipeline text: unexpected '{text[position]}' at position {position}")
    return Pipeline(tuple(stages))


def _items(
    text: str, position: int, registry: Mapping[str, type[Pass]], named: Mapping[str, str], nested: bool
) -> tuple[list[Pass | Group], int]:
    stages: list[Pass | Group] = []
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if not nested and text.startswith("(", position):
            inner, position = _items(text, position + 1, registry, {}, nested=True)
            if not text.startswith(")*", position):
                raise OptionError(f"pipeline text: ')*' expected at position {position}")
            position += 2
            stages.append(Group(tuple(p for p in inner if isinstance(p, Pass))))
        else:
            item = _ITEM.match(text, position)
            if item is None:
                raise OptionError(f"pipeline text: a pass name is expected at position {position}")
            if item[1] in named and item[1] not in registry and item[2] is None:
                stages.extend(parse(named[item[1]], registry).stages)
            else:
                stages.append(look_up(item[1], registry).from_options(_option_texts(item[1], item[2] or "")))
            position = item.end()
        if not text.startswith(",", position):
            return stages, position
        position += 1


def look_up(name: str, registry: Mapping[str, type[Pass]]) -> type[Pass]:
    """The pass of a name.

    Raises:
        OptionError: there is none, with those that may have been meant.
    """
    if name not in registry:
        close = difflib.get_close_matches(name, registry, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "`planish passes` lists all"
        raise OptionError(f"there is no pass '{name}'", hint=hint)
    return registry[name]


def _option_texts(name: str, text: str) -> dict[str, str]:
    """Texts by option, from what stands between the braces."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text.rstrip()):
        option = _OPTION.match(text, position)
        if option is None:
            raise OptionError(f"pass {name}: '{text[position:]}' is not of the form option=value")
        key, value = option[1], option[2]
        if value is None:
            raise OptionError(f"pass {name}: option '{key}' has no value", hint=f"write {name}{{{key}=...}}")
        if key in found:
            raise OptionError(f"pass {name}: option '{key}' is given twice")
        found[key] = _unquoted(name, value)
        position = option.end()
    return found


def _unquoted(name: str, value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError as error:
        raise OptionError(f"pass {name}: {value} is no quoted text: {error}") from error


Observer = Callable[[Context, Pass], None]


@dataclass(frozen=True)
class Instruments:
    """What watches a run: `check` verifies the invariants after every pass that changed something, `before` is called
    with each pass, `after` with each pass that changed something."""

    check: bool = False
    before: Callable[[Pass], None] | None = None
    after: Observer | None = None


def run(pipeline: Pipeline, context: Context, instruments: Instruments = Instruments()) -> None:
    """Run every pass on `context.model`.

    Raises:
        PassError: a pass raised, or broke an invariant; it names the pass.
    """
    with collection_paused():
        for stage in pipeline.stages:
            if isinstance(stage, Pass):
                _run_pass(stage, context, -1, 1, instruments)
            else:
                _run_group(stage, context, instruments)


def _run_group(group: Group, context: Context, instruments: Instruments) -> None:
    seen: dict[int, int] = {}
    for round_number in range(1, MAX_ROUNDS + 1):
        applied = context.journal.count
        for index, one in enumerate(group.passes):
            since = seen.get(index, -1)
            seen[index] = len(context.changes.touched)
            if since != seen[index]:
                _run_pass(one, context, since, round_number, instruments)
        if context.journal.count == applied:
            return
    raise PassError(f"the group {group} does not come to rest within {MAX_ROUNDS} rounds")


def _run_pass(one: Pass, context: Context, since: int, round_number: int, instruments: Instruments) -> None:
    if instruments.before is not None:
        instruments.before(one)
    record = context.journal.open_run(one.name, round_number)
    started = time.perf_counter()
    try:
        one.run(context, since)
    except PlanishError:
        raise
    except Exception as error:
        what = f"pass {one.name} failed: {type(error).__name__}: {error}"
        raise PassError(what, where=one.name, rewrite=one.name) from error
    record.seconds = time.perf_counter() - started
    if not record.rewrites:
        return
    for graph in context.model.graphs():  # a pass may have put another model in place
        sort_nodes(graph)
    if instruments.check:
        verify(context.model, one.name)
    if instruments.after is not None:
        instruments.after(context, one)
