"""Stand-ins for the modules of TensorRT 10 and 11: what the adapter touches, recording how it is called."""

from __future__ import annotations

import enum
from types import SimpleNamespace
from typing import Any


class ILogger:
    """Refuses to work unless its own constructor was called, as the bindings do."""

    def __init__(self) -> None:
        self.started = True


class FakeConfig:
    def __init__(self) -> None:
        self.flags = {"TF32"}
        self.profiles: list[dict[str, Any]] = []
        self.profiling_verbosity = ""

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag.name)

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile.sizes)
        return -1 if profile.refused else len(self.profiles) - 1


class FakeProfile:
    def __init__(self) -> None:
        self.sizes: dict[str, Any] = {}
        self.refused = False

    def set_shape(self, name: str, *sizes: Any) -> None:
        self.sizes[name] = ("shape", *sizes)
        self.refused = sizes[0] == (0, 0)

    def set_shape_input(self, name: str, *sizes: Any) -> None:
        self.sizes[name] = ("values", *sizes)


class FakeBuilder:
    def __init__(self, logger: Any) -> None:
        assert logger.started
        self.logger = logger
        self.network_flags = -1
        self.inputs: list[Any] = []

    def create_network(self, flags: int) -> Any:
        self.network_flags = flags
        return SimpleNamespace(num_inputs=len(self.inputs), get_input=lambda index: self.inputs[index])

    def create_builder_config(self) -> FakeConfig:
        return FakeConfig()

    def create_optimization_profile(self) -> FakeProfile:
        return FakeProfile()


def fake_module(version: str, strongly_typed: int, builder: Any = FakeBuilder) -> Any:
    """A module like TensorRT's; `strongly_typed` is the number of the flag, 1 in TensorRT 10 and 0 since 11."""
    return SimpleNamespace(
        __name__="tensorrt", __version__=version, ILogger=ILogger, Logger=ILogger, Builder=builder, OnnxParser=object,
        NetworkDefinitionCreationFlag=enum.IntEnum("NetworkDefinitionCreationFlag", {"STRONGLY_TYPED": strongly_typed}),
        BuilderFlag=enum.Enum("BuilderFlag", ["TF32", "SPARSE_WEIGHTS"]),
        ProfilingVerbosity=SimpleNamespace(DETAILED="detailed"),
    )  # fmt: skip
