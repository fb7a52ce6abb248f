"""`planish build --partition`: engines for what TensorRT takes of a model, ONNX models for the rest, and a manifest."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto
from onnx.helper import tensor_dtype_to_np_dtype

from ...compiler import symbolic
from ...compiler.errors import BackendError, OptionError, OutputError, UnsupportedModelError
from ...compiler.model import Model
from ...compiler.tensorrt_limits import double_interface, misread
from ..onnxruntime_session import open_session
from ..result import Result
from .chain import MANIFEST, SCHEMA
from .cutting import REST, TENSORRT, Part, cut, part_model
from .isolation import run_isolated
from .profiles import Profile, parse_profile
from .structure import engine_name
from .worker import PLAN, Answer, Request

_ROUNDS = 40  # of cutting again because the parser refuses more
_FEWEST = 3  # nodes that an engine of their own is worth
_WORKER = "planish.runtime.engines.worker"


@dataclass
class Partition:
    """A model in parts, as far as it is built. reasons: node -> why TensorRT does not get it."""

    result: Result
    request: Request
    timeout: float | None
    memory: int | None
    proto: ModelProto = field(init=False)
    reasons: dict[str, str] = field(default_factory=dict)
    _built: dict[tuple[str, ...], tuple[Answer, bytes]] = field(default_factory=dict)

    def write(self, source: Path, target: Path) -> dict[str, Any]:
        """Cut, build, and write the folder `target`, whole or not at all; returns the manifest.

        Raises:
            OptionError: the folder exists. UnsupportedModelError: nothing of the model is left for TensorRT.
        """
        if target.exists():
            raise OptionError(f"'{target}' exists", hint="name a folder that is to be made")
        if not target.parent.is_dir():
            raise OutputError(f"the folder of '{target}' does not exist")
        with tempfile.TemporaryDirectory(prefix="planish-") as name:
            path = Path(name) / "model.onnx"
            self.result.save(path, external_data=False)
            self.proto = onnx.load(path)
        self._refuse_misread(self.result.model)
        parts = self._parts()
        unfinished = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}")
        unfinished.mkdir()
        try:
            manifest = self._write_parts(parts, source, unfinished)
            os.replace(unfinished, target)
        except OSError as error:
            raise OutputError(f"the folder cannot be written: {error.strerror or error}", where=str(target)) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return manifest

    def _refuse_misread(self, model: Model) -> None:
        for node in model.nodes():
            text = misread(node)
            if text:
                self.reasons[engine_name(node)] = text
        for text in double_interface(model):
            raise UnsupportedModelError(text, hint="make the model float32")

    def _parts(self) -> list[Part]:
        """Parts of which every one for TensorRT is built."""
        for _ in range(_ROUNDS):
            parts = cut(self.proto, self.reasons)
            refused = next((why for part in parts if part.kind == TENSORRT and (why := self._refusal(part))), None)
            if refused is None:
                if not any(part.kind == TENSORRT for part in parts):
                    raise UnsupportedModelError("TensorRT takes no part of the model that is worth an engine")
                return parts
            self.reasons.update(refused)
        raise UnsupportedModelError(f"TensorRT refused more nodes in each of {_ROUNDS} rounds")

    def _refusal(self, part: Part) -> dict[str, str]:
        """Nodes of a part that TensorRT does not get, with the reasons; builds the part if there are none."""
        names = tuple(part.node_names)
        if names in self._built:
            return {}
        whole = [node for node in part.nodes if node.op_type != "Constant"]
        if len(whole) < _FEWEST:
            return {node.name: f"an engine for {len(whole)} nodes between others is not worth it" for node in whole}
        model = part_model(self.proto, self.result.model, part)
        try:
            profiles = self._profiles(model)
            answer, plan = self._build(model, profiles)
        except (BackendError, OptionError) as error:
            return {node.name: error.what for node in whole}
        if answer.taken:
            self._built[names] = (answer, plan)
            return {}
        found = {}
        for message in answer.messages:
            name = message["name"] or (part.nodes[message["node"]].name if 0 <= message["node"] < len(names) else "")
            if message["severity"] == "error" and name in names:
                found[name] = message["text"]
        return found or {node.name: "the parser does not say which node it refuses" for node in whole}

    def _build(self, model: ModelProto, profiles: tuple[str, ...]) -> tuple[Answer, bytes]:
        with tempfile.TemporaryDirectory(prefix="planish-") as name:
            folder = Path(name)
            onnx.save(model, folder / "part.onnx")
            base = self.request
            Request(
                str(folder / "part.onnx"), tuple(node.name for node in model.graph.node), base.backend,
                base.compute_capabilities, profiles, base.flags,
            ).write(folder)  # fmt: skip
            run_isolated(_WORKER, folder, f"a part of {len(model.graph.node)} nodes", timeout=self.timeout,
                         memory=self.memory)  # fmt: skip
            answer = Answer.read(folder)
            return answer, (folder / PLAN).read_bytes() if answer.taken else b""

    def _profiles(self, model: ModelProto) -> tuple[str, ...]:
        """Profiles of a part: the sizes that its inputs have when the model's inputs have theirs."""
        inputs = [info for info in model.graph.input if _is_open(info)]
        if not inputs:
            return ()
        given = {value.name: value for value in self.result.model.graph.inputs}
        known = {s for value in given.values() for extent in value.shape or () for s in symbolic.symbols(extent)}
        for info in inputs:
            extents = [symbolic.parse(d.dim_param) for d in info.type.tensor_type.shape.dim if d.dim_param]
            if any(not symbolic.symbols(extent) <= known for extent in extents):
                raise OptionError(f"the size of {info.name} depends on data")
        return tuple(
            _profile_text([info.name for info in inputs], self._measure(parse_profile(text), inputs))
            for text in self.request.profiles
        )

    def _measure(self, profile: Profile, wanted: Sequence[ValueInfoProto]) -> list[dict[str, tuple[int, ...]]]:
        """Shapes of some values for the smallest, the usual and the largest inputs."""
        inner = ModelProto()
        inner.CopyFrom(self.proto)
        present = {info.name for info in (*inner.graph.output, *inner.graph.input)}
        inner.graph.output.extend(info for info in wanted if info.name not in present)
        session = open_session(inner)
        found = []
        for index in range(3):
            feeds = {info.name: _zeros(info, profile, index) for info in self.proto.graph.input
                     if info.name in session.input_names}  # fmt: skip
            made = {**feeds, **dict(zip(session.output_names, session.run(feeds)))}
            found.append({info.name: tuple(np.shape(made[info.name])) for info in wanted})
        return found

    def _write_parts(self, parts: Sequence[Part], source: Path, folder: Path) -> dict[str, Any]:
        entries = []
        for index, part in enumerate(parts):
            name = f"part{index}.{part.kind}"
            onnx.save(part_model(self.proto, self.result.model, part), folder / f"{name}.onnx")
            entry: dict[str, Any] = {
                "kind": part.kind, "model": f"{name}.onnx", "plan": None, "inputs": part.inputs,
                "outputs": part.outputs, "nodes": part.node_names,
            }  # fmt: skip
            if part.kind == TENSORRT:
                answer, plan = self._built[tuple(part.node_names)]
                (folder / f"{name}.plan").write_bytes(plan)
                entry.update(plan=f"{name}.plan", kernels=answer.kernels, messages=answer.messages)
            else:
                entry["reasons"] = {n: self.reasons[n] for n in part.node_names if n in self.reasons}
            entries.append(entry)
        manifest = {
            "schema": SCHEMA, "source": str(source), "backend": self.request.backend,
            "inputs": [i.name for i in self.proto.graph.input], "outputs": [o.name for o in self.proto.graph.output],
            "parts": entries, "nodes": {kind: sum(len(p.nodes) for p in parts if p.kind == kind)
                                        for kind in (TENSORRT, REST)},
        }  # fmt: skip
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        return manifest


def _is_open(info: ValueInfoProto) -> bool:
    return any(dim.WhichOneof("value") != "dim_value" for dim in info.type.tensor_type.shape.dim)


def _zeros(info: ValueInfoProto, profile: Profile, index: int) -> np.ndarray:
    dims = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
    shape = profile[info.name][index] if info.name in profile else tuple(dims)
    return np.zeros(shape, tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type))


def _profile_text(names: Sequence[str], measured: Sequence[dict[str, tuple[int, ...]]]) -> str:
    profile = Profile()
    for name in names:
        sizes = np.array([found[name] for found in measured])
        low, high = sizes.min(axis=0), sizes.max(axis=0)
        profile[name] = (tuple(map(int, low)), tuple(map(int, sizes[1])), tuple(map(int, high)))
    return profile.text()
