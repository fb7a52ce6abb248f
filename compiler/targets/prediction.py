"""Predicted seconds of a few nodes on a target, and the comparison of two ways to compute the same."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ..cost import EverySymbol, cost_of
from .kernels import Profile
from .scenario import Scenario

_FILES = {"onnx": "onnxruntime_cpu", "ort": "onnxruntime_cpu", "tensorrt": "tensorrt_gpu"}
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


def compare(target: str, before: Scenario, after: Scenario) -> Comparison:
    """Both ways on the target that --target stands for."""
    machine = target_named(target)
    found = [
        Comparison(machine, machine.predict(before, sizes), machine.predict(after, sizes))
        for sizes in (EverySymbol(size) for size in _PROBES)
    ]
    return max(found, key=lambda one: one.ratio)
