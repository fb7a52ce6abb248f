"""What TensorRT's parser makes of models, found out in a process of its own: the parser may crash on a model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnx import ModelProto

from ...compiler.errors import BackendError
from ..engines.isolation import run_isolated
from ..parity import ParityReport, Reference
from .worker import ANSWER, REQUEST, LiftAnswer

_INLINE = 1 << 30  # bytes of a model that is written into one file


def lower(
    models: Sequence[Path], folder: Path, *, backend: str = "auto", timeout: float | None = 600
) -> list[LiftAnswer]:
    """Parse models and write the networks as ONNX models into a folder.

    Raises:
        BackendError: the library is missing, crashes on a model or takes too long.
    """
    request = {"backend": backend, "models": [str(path.absolute()) for path in models]}
    (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
    subject = str(models[0]) if len(models) == 1 else f"one of {len(models)} models"
    run_isolated("planish.runtime.lifting.worker", folder, subject, timeout=timeout)
    found = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    if isinstance(found, dict):
        raise BackendError(found["error"], hint=found["hint"])
    return [LiftAnswer(**entry) for entry in found]


@contextmanager
def lowered(model: ModelProto | Path, *, backend: str = "auto") -> Iterator[LiftAnswer]:
    """The network of one model; its file is there as long as the context is open.

    Raises:
        BackendError: the library is missing, crashes on the model or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="planish-") as name:
        folder = Path(name)
        path = model if isinstance(model, Path) else folder / "model.onnx"
        if isinstance(model, ModelProto):
            large = model.ByteSize() > _INLINE
            onnx.save_model(model, path, save_as_external_data=large, location="model.data")
        yield lower([path], folder, backend=backend)[0]


def refusal(answer: LiftAnswer) -> str:
    """Why there is no lifted network of a model; "" if there is one."""
    if answer.problem:
        return answer.problem
    if answer.taken:
        return ""
    errors = [m for m in answer.messages if m["severity"] == "error"]
    said = "; ".join(dict.fromkeys(f"{m['op']} {m['name']}: {m['text']}".strip(" :") for m in errors[:3]))
    return f"{answer.backend} does not take the model: {said or 'it does not say why'}"


def compare_network(reference: Reference, network: ModelProto | Path) -> ParityReport:
    """Level 2 of the proof: whether the network that the parser made computes what the model given to it computes.

    Args:
        reference: the answers of the model that the parser was given.
        network: the lifted network.
    """
    report = reference.compare(network)
    if report.status == "mismatch":
        report.reason = report.reason.replace("the optimized model", "the network")
    return report
