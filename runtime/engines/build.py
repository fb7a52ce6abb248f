"""`planish.build`: an ONNX model in, an engine out, with a report of what was built and what is known of it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...compiler.atomic_files import replace_files
from ...compiler.errors import BackendError, OptionError, UnsupportedModelError
from ...compiler.model import Model
from ...compiler.reading import load
from ...compiler.tensorrt_limits import double_interface, misread, untried_opset
from ..account import parity_account
from ..lifting.lowering import compare_network
from ..optimize import optimize
from ..options import InputShapes, Names, Progress, byte_count, name_list, shape_map
from ..parity import Reference
from ..result import Result
from .adapter import BACKENDS, INSTALL, Message, cuda_devices
from .isolation import Crash, run_isolated
from .partition import Partition
from .profiles import parse_profile
from .report import report
from .sizes import fixed_sizes, forget_placeholders
from .structure import engine_name
from .worker import LIFTED, PLAN, Answer, Request

_CHUNK = 1 << 22
_SHOWN = 5  # refused nodes in the line of an error


class Refused(UnsupportedModelError):
    """The library does not take the model. problems: what it says of which node."""

    def __init__(self, what: str, problems: Sequence[Message], *, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.problems = list(problems)


@dataclass(frozen=True)
class Build:
    """A finished build. plan, report_file: what was written. report: the report as plain data."""

    plan: Path
    report_file: Path
    report: dict[str, Any]
    optimized: Result

    @property
    def proven(self) -> bool:
        """Whether no level of the proof failed."""
        return all(level["status"] not in ("failed", "mismatch") for level in self.report["parity"].values())


def report_file(plan: Path) -> Path:
    """Where the report of an engine stands: OUT.build.json beside OUT.plan."""
    return plan.with_name(plan.name.removesuffix(".plan") + ".build.json")


def build(
    source: str | Path, output: str | Path, *, backend: str = "auto", compute_capabilities: Names = (),
    profiles: Sequence[str] = (), tf32: bool = False, timeout: float | None = 1800.0,
    memory: int | str | None = None, input_shapes: InputShapes = (), passes: str | None = None, skip: Names = (),
    verify: str = "final", samples: str | Path | None = None, opset: int | None = None,
    progress: Progress | None = None,
) -> Build:  # fmt: skip
    """Optimize a model for TensorRT, build an engine of it, and write the engine and its report.

    Args:
        source: path of the ONNX model. output: path of the engine; the report stands beside it.
        backend: "tensorrt", "tensorrt-rtx", or "auto": TensorRT where it is installed and a CUDA device answers, else
            TensorRT-RTX, which builds without a GPU.
        compute_capabilities: of the GPUs to build for, e.g. "8.9"; TensorRT-RTX only.
        profiles: texts like "x=1x3x224x224:8x3x224x224:32x3x224x224", one per profile. What the only one leaves no
            choice of is fixed in the model.
        tf32: let float32 layers round their factors to TF32.
        timeout: seconds that parsing and building may take. memory: bytes that they may have resident.
        input_shapes, passes, skip, verify, samples, opset: as for `optimize`.
        progress: called with the name of what is being done and the share of the steps that are over.

    Raises:
        BackendError: no library, or it crashed or failed. Refused: it does not take some nodes of the model.
        PlanishError: bad options, a broken model, or a result of the optimizer that is wrong.
    """
    output = Path(output)
    say = progress or (lambda step, share: None)
    started = time.perf_counter()
    result, request = _prepare(
        source, backend, compute_capabilities, profiles, tf32, say, input_shapes=input_shapes, passes=passes,
        skip=skip, verify=verify, samples=samples, opset=opset,
    )  # fmt: skip
    _refuse_misread(result.model, str(source))
    seconds = time.perf_counter() - started
    limit = None if memory is None else byte_count("memory", memory)
    with tempfile.TemporaryDirectory(prefix="planish-") as name:
        folder = Path(name)
        say("saving", 0.5)
        result.save(folder / "model.onnx")
        request = replace(request, model=str(folder / "model.onnx"), lift=verify != "off")
        say("parsing and building", 0.6)
        answer = _isolated(request, folder, str(source), timeout, limit)
        say("comparing the network", 0.9)
        lowering = _check_lowering(folder, answer, Path(samples) if samples is not None else None)
        plan = _measure(folder / PLAN)
        made = report(result, request, answer, lowering, source=str(source), plan=plan, seconds=seconds)
        say("writing", 1.0)
        _write(output, folder / PLAN, made)
    return Build(output, report_file(output), made, result)


def build_parts(
    source: str | Path, folder: str | Path, *, timeout: float | None = 1800.0, memory: int | str | None = None,
    backend: str = "auto", compute_capabilities: Names = (), profiles: Sequence[str] = (), tf32: bool = False,
    progress: Progress | None = None, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Cut a model into what TensorRT takes and the rest, and write both into a new folder; returns its manifest.

    `planish.runtime.engines.chain.Chain` runs the parts one after the other.

    Args:
        folder: to be made; it gets a manifest, an ONNX model for every part, and an engine for those of TensorRT.
        timeout, memory: of every part. The other arguments and `options` are those of `build`.

    Raises:
        UnsupportedModelError: TensorRT takes nothing of the model that is worth an engine.
        PlanishError: as `build`.
    """
    say = progress or (lambda step, share: None)
    result, request = _prepare(source, backend, compute_capabilities, profiles, tf32, say, **options)
    limit = None if memory is None else byte_count("memory", memory)
    say("cutting and building", 0.6)
    return Partition(result, request, timeout, limit).write(Path(source), Path(folder))


def _prepare(
    source: str | Path, backend: str, compute_capabilities: Names, profiles: Sequence[str], tf32: bool, say: Progress,
    *, input_shapes: InputShapes = (), **options: Any,
) -> tuple[Result, Request]:  # fmt: skip
    """The model as it is built, and what to ask of the library."""
    flavor = choose_backend(backend)
    sizes = [parse_profile(text) for text in profiles]
    shapes = {**fixed_sizes(load(source), sizes), **shape_map(input_shapes)}
    result = optimize(
        source, target="tensorrt", input_shapes=shapes, progress=lambda step, share: say(step, share / 2), **options
    )
    untried = untried_opset(result.model)
    if untried:
        raise UnsupportedModelError(f"{source}: {untried}", hint="convert it with --opset 17, for example")
    forget_placeholders(result.model)
    nodes = tuple(engine_name(node) for node in result.model.nodes())
    capabilities = name_list("compute_capabilities", compute_capabilities)
    return result, Request("", nodes, flavor, capabilities, tuple(profiles), ("TF32",) if tf32 else ())


def choose_backend(name: str) -> str:
    """The flavor to build with, without loading it into this process.

    Raises:
        OptionError: there is no such backend. BackendError: it is not installed.
    """
    if name != "auto" and name not in BACKENDS:
        raise OptionError(f"there is no backend '{name}'", hint=f"auto, {', '.join(BACKENDS)}")
    if name == "auto":
        installed = importlib.util.find_spec("tensorrt") is not None
        name = "tensorrt" if installed and cuda_devices() else "tensorrt-rtx"
    if importlib.util.find_spec(BACKENDS[name]) is None:
        raise BackendError(f"{name} is not installed", hint=INSTALL)
    return name


def _refuse_misread(model: Model, source: str) -> None:
    """Refuse what the parser would silently turn into something else, or that would break it."""
    problems = [
        Message("error", index, engine_name(node), node.op, "MISREAD", text)
        for index, node in enumerate(model.nodes())
        if (text := misread(node))
    ]
    problems += [Message("error", -1, "", "", "MISREAD", text) for text in double_interface(model)]
    if problems:
        raise _refused("TensorRT would compute something else than", source, problems)


def _check_lowering(folder: Path, answer: Answer, samples: Path | None) -> dict[str, Any]:
    """Level 2 of the proof: what the parser made of the optimized model, in ONNX Runtime."""
    if answer.not_lifted:
        return {"status": "not-run", "reason": f"the network cannot be read back: {answer.not_lifted}"}
    reference = Reference(folder / "model.onnx", samples=samples)
    return parity_account(compare_network(reference, folder / LIFTED)) or {}


def _isolated(request: Request, folder: Path, source: str, timeout: float | None, memory: int | None) -> Answer:
    """Parse and build in another process."""
    request.write(folder)
    try:
        run_isolated("planish.runtime.engines.worker", folder, source, timeout=timeout, memory=memory)
    except Crash as crash:
        if crash.hint:
            raise
        raise Crash(crash.what, hint=_how_to_reduce(source, request.backend)) from crash
    answer = Answer.read(folder)
    if not answer.taken:
        raise _refusal(answer, source)
    return answer


def _how_to_reduce(source: str, backend: str) -> str:
    use = "POLYGRAPHY_USE_TENSORRT_RTX=1 " if backend == "tensorrt-rtx" else ""
    return (
        f"to find the part that does it: planish optimize {source} prepared.onnx --target tensorrt && {use}polygraphy "
        "debug reduce prepared.onnx -o reduced.onnx --mode=bisect --check polygraphy convert polygraphy_debug.onnx "
        "-o reduced.plan"
    )


def _refusal(answer: Answer, source: str) -> Refused:
    problems = [Message(**{**entry, "functions": tuple(entry["functions"])}) for entry in answer.messages]
    errors = [message for message in problems if message.severity == "error"]
    return _refused(f"{answer.backend} does not take {len(errors)} of the nodes of", source, errors)


def _refused(what: str, source: str, problems: Sequence[Message]) -> Refused:
    shown = "; ".join(dict.fromkeys(str(message) for message in problems[:_SHOWN]))
    more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    hint = "`planish optimize --target tensorrt --remarks` says what could not be rewritten"
    return Refused(f"{what} {source}: {shown}{more}", problems, hint=hint)


def _measure(plan: Path) -> dict[str, Any]:
    """Size and hash of an engine."""
    digest = hashlib.sha256()
    for piece in _pieces(plan):
        digest.update(piece)
    return {"bytes": plan.stat().st_size, "sha256": digest.hexdigest()}


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def _write(output: Path, plan: Path, made: dict[str, Any]) -> None:
    text = json.dumps(made, indent=1).encode()
    replace_files({output: _pieces(plan), report_file(output): [text]})
