"""The level of the engine: built of the model and run by TensorRT, where a CUDA device answers.

This has not been run on hardware yet; it is tried against a stand-in for the library.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...compiler.errors import EvaluationError
from ..engines.adapter import cuda_devices
from ..onnxruntime_session import Interface
from ..samples import Feeds

NO_DEVICE = "no CUDA device"


def can_run() -> bool:
    """Whether an engine can be run on this machine."""
    return cuda_devices() > 0


class EngineRunner:
    """An engine that Polygraphy runs. interface: that of the model it was built of."""

    def __init__(self, inner: Any, interface: Interface) -> None:
        self._inner, self.interface = inner, interface

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """Outputs in order.

        Raises:
            EvaluationError: the engine cannot run on these inputs.
        """
        try:
            found = self._inner.infer({name: np.ascontiguousarray(array) for name, array in feeds.items()})
        except Exception as error:
            raise EvaluationError(f"the engine failed: {error}") from error
        return [np.asarray(found[name]) for name, _ in self.interface[1]]


@contextmanager
def engine_of(model: Path, interface: Interface, feeds: Sequence[Feeds], trt: Any = None) -> Iterator[EngineRunner]:
    """Build an engine, strongly typed and without TF32, for the sizes of these inputs.

    Args:
        trt: stands for polygraphy.backend.trt.

    Raises:
        EvaluationError: it cannot be built.
    """
    trt = trt or importlib.import_module("polygraphy.backend.trt")
    profile = trt.Profile()
    for name, (smallest, usual, largest) in _sizes(feeds).items():
        profile.add(name, min=smallest, opt=usual, max=largest)
    network = trt.NetworkFromOnnxPath(str(model), strongly_typed=True)
    build = trt.EngineFromNetwork(network, config=trt.CreateConfig(tf32=False, profiles=[profile]))
    try:
        engine = build()
    except Exception as error:
        raise EvaluationError(f"no engine can be built: {error}") from error
    with trt.TrtRunner(engine) as runner:
        yield EngineRunner(runner, interface)


def _sizes(feeds: Sequence[Feeds]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Smallest, first and largest shape of each input."""
    found: dict[str, tuple[tuple[int, ...], ...]] = {}
    for name, array in feeds[0].items():
        shapes = np.array([one[name].shape for one in feeds])
        found[name] = (tuple(shapes.min(0).tolist()), tuple(array.shape), tuple(shapes.max(0).tolist()))
    return found
