"""What runs in the isolated process of a build: parse, configure, build, and write down what became of the model.

It is told what to do by `request.json` in a folder, and leaves `answer.json` and `engine.plan` there.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import onnx

from ...compiler import errors
from ...compiler.errors import BackendError, PlanishError, UnsupportedModelError
from ..lifting.lifting import lift
from .adapter import Backend, Message, ParsedNetwork, enum_name, load_backend, mark_attention_decomposable, parse
from .isolation import end_with_parent, enter_stage
from .layers import nodes_in, read_layers
from .profiles import parse_profile

REQUEST, ANSWER, PLAN, LIFTED = "request.json", "answer.json", "engine.plan", "lifted.onnx"
_BIGGEST_PROTO = 1 << 30  # bytes, above which weights go to a file of their own
_SHOWN = 3  # messages of the builder in an error


@dataclass(frozen=True)
class Request:
    """What to build. model: path of the ONNX file. nodes: names of its nodes. profiles: as on the command line.

    lift: whether to write what the parser made as an ONNX model again.
    """

    model: str
    nodes: tuple[str, ...]
    backend: str
    compute_capabilities: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    lift: bool = False

    def write(self, folder: Path) -> None:
        (folder / REQUEST).write_text(json.dumps(asdict(self)), encoding="utf-8")


@dataclass
class Answer:
    """What became of it: everything that the report of a build takes from the library.

    taken: whether the parser took the model. messages: of the parser, then warnings of the builder. network, engine:
    layers as plain data. bindings: name -> (Input or Output, dtype, shape). kernels, roles: how many kernels read which
    element type, and play which role. not_lifted: why the network was not written as an ONNX model, "" if it was.
    """

    backend: str = ""
    version: str = ""
    taken: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    network: list[dict[str, Any]] = field(default_factory=list)
    engine: list[dict[str, Any]] = field(default_factory=list)
    bindings: dict[str, tuple[str, str, list[int]]] = field(default_factory=dict)
    kernels: dict[str, int] = field(default_factory=dict)
    roles: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    not_lifted: str = "it was not asked for"
    error: tuple[str, str, str] | None = None

    @classmethod
    def read(cls, folder: Path) -> Answer:
        """The answer in a folder.

        Raises:
            PlanishError: what the other process raised.
        """
        answer = cls(**json.loads((folder / ANSWER).read_text(encoding="utf-8")))
        if answer.error is not None:
            kind, what, hint = answer.error
            raise getattr(errors, kind, BackendError)(what, hint=hint)
        return answer


def main(folder: Path) -> None:
    """Do what the request in the folder asks for."""
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    answer = Answer()
    try:
        _work(Request(**request), folder, answer)
    except PlanishError as error:
        answer.error = (type(error).__name__, error.what, error.hint)
    (folder / ANSWER).write_text(json.dumps(asdict(answer)), encoding="utf-8")


def _work(request: Request, folder: Path, answer: Answer) -> None:
    enter_stage(folder, "loading the library for")
    backend = load_backend(request.backend)
    answer.backend, answer.version = backend.flavor, backend.version_text
    enter_stage(folder, "parsing")
    started = time.perf_counter()
    parsed = parse(backend, request.model)
    answer.seconds["parse"] = time.perf_counter() - started
    answer.messages = [asdict(message) for message in parsed.messages]
    answer.taken = parsed.ok
    if not parsed.ok:
        return
    nodes = frozenset(request.nodes)
    answer.network = network_layers(parsed, nodes)
    if request.lift:
        enter_stage(folder, "reading back the network of")
        started = time.perf_counter()
        answer.not_lifted = _lift(parsed, folder / LIFTED)
        answer.seconds["lift"] = time.perf_counter() - started
    _build(request, parsed, folder, answer)
    content = read_layers(parsed.records, nodes)
    answer.engine = [{**asdict(layer), "role": layer.role, "is_kernel": layer.is_kernel} for layer in content.layers]
    answer.bindings = {name: (mode, dtype, list(shape)) for name, (mode, dtype, shape) in content.bindings.items()}
    answer.kernels, answer.roles = content.dtypes(), content.roles()


def _build(request: Request, parsed: ParsedNetwork, folder: Path, answer: Answer) -> None:
    backend: Backend = parsed.backend
    mark_attention_decomposable(parsed)
    config = backend.config(
        parsed.builder, parsed.network, compute_capabilities=request.compute_capabilities,
        profiles=[parse_profile(text) for text in request.profiles], flags=request.flags,
    )  # fmt: skip
    enter_stage(folder, "building an engine of")
    said_before = len(parsed.records)
    started = time.perf_counter()
    plan = parsed.builder.build_serialized_network(parsed.network, config)
    answer.seconds["build"] = time.perf_counter() - started
    said = parsed.records[said_before:]
    warnings = [text for severity, text in said if severity == "WARNING"]
    answer.messages += [asdict(Message("warning", -1, "", "", "", " ".join(text.split()))) for text in warnings]
    if plan is None:
        failures = [" ".join(text.split()) for severity, text in said if severity in ("ERROR", "INTERNAL_ERROR")]
        reason = "; ".join(failures[:_SHOWN]) or "it does not say why"
        raise BackendError(f"{backend.flavor} builds no engine: {reason}")
    (folder / PLAN).write_bytes(memoryview(plan))


def _lift(parsed: ParsedNetwork, path: Path) -> str:
    """Write the network as an ONNX model; why it cannot be, "" if it was."""
    try:
        model = lift(parsed.network, parsed.backend.module).model
    except UnsupportedModelError as error:
        return error.what
    onnx.save(model, path, save_as_external_data=model.ByteSize() > _BIGGEST_PROTO)
    return ""


def network_layers(parsed: ParsedNetwork, nodes: frozenset[str]) -> list[dict[str, Any]]:
    """The layers of the parser's network as plain data."""
    found = []
    for layer in parsed.layers:
        outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
        found.append({
            "name": layer.name,
            "kind": enum_name(layer.type),
            "nodes": list(nodes_in(layer.metadata, nodes)),
            "outputs": [
                {"name": tensor.name, "dtype": enum_name(tensor.dtype), "shape": _shape(tensor)} for tensor in outputs
            ],
        })  # fmt: skip
    return found


def _shape(tensor: Any) -> list[int] | None:
    try:
        return list(tensor.shape)
    except ValueError:  # its rank is not known
        return None


if __name__ == "__main__":
    end_with_parent()
    main(Path(sys.argv[1]))
