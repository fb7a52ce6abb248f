"""Runs the parts of a model that was cut, one after the other, by the manifest that stands beside them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...compiler.errors import EvaluationError, ModelError
from ..onnxruntime_session import open_session
from .adapter import cuda_devices
from .execution import tensorrt_runner

MANIFEST = "manifest.json"
SCHEMA = 1

RunPart = Callable[[Mapping[str, Any]], dict[str, Any]]
OpenPart = Callable[[Path, Mapping[str, Any]], RunPart]


class Chain:
    """A model in parts. `run` takes arrays by input name and gives the outputs by name.

    Args:
        folder: where `planish build --partition` wrote the parts.
        open_engine: how to open a part that has an engine, for the backend of the manifest; by default with Polygraphy
            where a CUDA device answers, and the part's ONNX model in ONNX Runtime where none does.
    """

    def __init__(self, folder: str | Path, open_engine: OpenPart | None = None) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self._engines = contextlib.ExitStack()
        here = _engine_opener(self.manifest["backend"], self._engines) if cuda_devices() else _in_onnxruntime
        opener = open_engine or here
        self._parts = [
            (part, (opener if part["plan"] else _in_onnxruntime)(self.folder, part)) for part in self.manifest["parts"]
        ]

    def close(self) -> None:
        """Let go of the engines; `with Chain(folder) as chain:` does it too."""
        self._engines.close()

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of the model.

        Raises:
            EvaluationError: an input is missing, or a part fails.
        """
        known = dict(feeds)
        for part, run in self._parts:
            missing = [name for name in part["inputs"] if name not in known]
            if missing:
                raise EvaluationError(f"part {part['model']} lacks {', '.join(missing)}")
            known.update(run({name: known[name] for name in part["inputs"]}))
        return {name: known[name] for name in self.manifest["outputs"]}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest in a folder.

    Raises:
        ModelError: there is none, or it is of another schema.
    """
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is no manifest of parts: {error}") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ModelError(f"{path} is no manifest that this version writes", hint="build the parts again")
    return found


def _in_onnxruntime(folder: Path, part: Mapping[str, Any]) -> RunPart:
    session = open_session(folder / part["model"])
    return lambda feeds: dict(zip(session.output_names, session.run(feeds)))


def _engine_opener(flavor: str, engines: contextlib.ExitStack) -> OpenPart:
    def open_part(folder: Path, part: Mapping[str, Any]) -> RunPart:
        runner = engines.enter_context(tensorrt_runner(flavor, (folder / part["plan"]).read_bytes()))
        return lambda feeds: dict(runner.infer(dict(feeds)))

    return open_part
