"""What runs in the isolated process of a lift: parse each model and write its network as an ONNX model.

It is told what to do by `request.json` in a folder, and leaves `answer.json` and a file for each lifted network there.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from ...compiler.errors import PlanishError, UnsupportedModelError
from ..engines.adapter import Backend, load_backend, parse
from ..engines.isolation import end_with_parent, enter_stage
from .lifting import lift

REQUEST, ANSWER = "request.json", "answer.json"
_LARGEST = 1 << 30  # bytes of weights that are kept in the file of the model


@dataclass
class LiftAnswer:
    """What became of one model.

    taken: whether the parser took it; messages: what it said. lifted: file of the network, "" if it could not be
    written; problem: why. layers: a table of the network's layers.
    """

    backend: str = ""
    version: str = ""
    taken: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    lifted: str = ""
    problem: str = ""
    layers: list[dict[str, Any]] = field(default_factory=list)


def main(folder: Path) -> None:
    """Do what the request in the folder asks for."""
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    enter_stage(folder, "loading the library for")
    try:
        backend = load_backend(request["backend"])
    except PlanishError as error:
        answers: Any = {"error": error.what, "hint": error.hint}
    else:
        answers = [asdict(_lift_one(backend, Path(path), folder, n)) for n, path in enumerate(request["models"])]
    (folder / ANSWER).write_text(json.dumps(answers), encoding="utf-8")


def _lift_one(backend: Backend, model: Path, folder: Path, number: int) -> LiftAnswer:
    enter_stage(folder, "parsing")
    parsed = parse(backend, model)
    answer = LiftAnswer(backend.flavor, backend.version_text, parsed.ok, [asdict(m) for m in parsed.messages])
    if not parsed.ok:
        return answer
    enter_stage(folder, "reading the network of")
    try:
        found = lift(parsed.network, backend.module)
    except UnsupportedModelError as error:
        answer.problem = error.what
        return answer
    answer.layers = found.layers
    target = folder / f"network-{number}.onnx"
    save_network(found.model, target)
    answer.lifted = str(target)
    return answer


def save_network(model: ModelProto, target: Path) -> None:
    """Write a lifted network; large weights stand in a file beside it."""
    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > _LARGEST
    onnx.save_model(model, target, save_as_external_data=large, location=f"{target.name}.data")


if __name__ == "__main__":
    end_with_parent()
    main(Path(sys.argv[1]))
