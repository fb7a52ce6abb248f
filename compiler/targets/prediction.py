"""Predicted seconds of a few nodes on a target, and the comparison of two ways to compute the same."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ..cost import EverySymbol, cost_of
from ..graph import Node, Value
from .kernels import Profile
from .scenario import Scenario

_FILES = {"onnx": "onnxruntime_cpu", "ort": "onnxruntime_cpu", "tensorrt": "tensorrt_gpu"}
_NEIGHBOURHOOD = 3  # steps behind what is replaced, within which a change of layout is followed
_PROBES = (1, 16)  # sizes for unknown extents: what is decided must hold for small and for large ones


@dataclass(frozen=True)
class Target:
    """A machine that models run on.

    measured: how its numbers were found, "" if they are only nominal. block: channels in a block of its convolution
    kernels. seconds: time of each unit of work (see `kernels`), or of the roofline's launch, FLOP and byte.
    """

    name: str
    measured: str
    block: int
    seconds: Mapping[str, float]

    def predict(self, scenario: Scenario, sizes: Mapping[str, int] | None = None) -> float:
        """Seconds that the nodes of the scenario take; symbols are bound to `sizes` or else to 1."""
        if "launch" in self.seconds:
            return self._roofline(scenario, sizes)
        work = Profile(scenario, self.block, sizes).work()
        return sum(self.seconds.get(unit, 0.0) * amount for unit, amount in work.items())

    def _roofline(self, scenario: Scenario, sizes: Mapping[str, int] | None) -> float:
        total = 0.0
        for node in scenario.nodes:
            cost = cost_of(node, sizes)
            if cost.bytes:
                busy = max(cost.flops * self.seconds["flop"], cost.bytes * self.seconds["byte"])
                total += max(self.seconds["launch"], busy)
        return total


@functools.cache
def target_named(name: str) -> Target:
    """The target that the command line's --target stands for."""
    file = resources.files(__package__).joinpath(f"{_FILES[name]}.json")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    measured = content.get("measured")
    how = f"{measured['processor']}, ONNX Runtime {measured['onnxruntime']}" if measured else ""
    return Target(content["name"], how, content.get("block", 1), content["seconds"])


@dataclass(frozen=True)
class Comparison:
    """Two ways to compute the same. before, after: predicted seconds, for the sizes at which `after` fares worst."""

    target: Target
    before: float
    after: float

    @property
    def ratio(self) -> float:
        return self.after / self.before if self.before else 1.0

    def __str__(self) -> str:
        kind = "predicted" if self.target.measured else "nominal, not measured"
        return f"{self.before * 1e6:.1f} -> {self.after * 1e6:.1f} us {kind} on {self.target.name}"


def compare(
    target: str, removed: Sequence[Node], added: Sequence[Node], stand_ins: Mapping[Value, Value] | None = None
) -> Comparison:
    """What nodes cost on the target that --target stands for, and what those would that take their place.

    Args:
        stand_ins: new value -> the value whose readers it is going to have.
    """
    machine = target_named(target)
    after = Scenario(added, stand_ins, removed)
    around = after.neighbours(_NEIGHBOURHOOD)
    before = Scenario([*removed, *around])
    after = Scenario([*added, *around], stand_ins, removed)
    unchanged = Scenario(around)
    found = []
    for sizes in _probes([*before.nodes, *after.nodes]):
        base = machine.predict(unchanged, sizes)
        found.append(Comparison(machine, machine.predict(before, sizes) - base, machine.predict(after, sizes) - base))
    return max(found, key=lambda one: one.ratio)


def _probes(nodes: Sequence[Node]) -> list[EverySymbol]:
    """The sizes to compare at: one is enough where no extent is symbolic."""
    values = [value for node in nodes for value in (*node.inputs, *node.outputs) if value is not None]
    static = all(isinstance(extent, int) for value in values for extent in value.shape or ())
    return [EverySymbol(size) for size in (_PROBES[:1] if static else _PROBES)]
