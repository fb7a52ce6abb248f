"""One adapter over TensorRT 10, TensorRT 11 and TensorRT-RTX: what differs between them is known here only.

TensorRT-RTX comes from pip and builds engines on a machine without a GPU; TensorRT needs one. Networks are strongly
typed on all of them, so that precision is what the model says and never what a builder prefers.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ...compiler.errors import BackendError, OptionError
from .profiles import Profile, check_profiles

BACKENDS = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}  # flavor -> Python module
INSTALL = "pip install 'planish[tensorrt-rtx]' (any machine), or 'planish[tensorrt]' on a machine with a CUDA GPU"
_PARSED = re.compile(r"Parsing node: (?P<name>.*) \[(?P<op>\w+)\]")
_NEEDED = ("Builder", "OnnxParser", "Logger", "NetworkDefinitionCreationFlag")


@dataclass(frozen=True)
class Message:
    """What the parser said of the model.

    node: index in the graph, -1 if unknown. name, op: of the node, "" if unknown. text: what is wrong; where in
    TensorRT's sources it was said stands in `code` with the kind of error. functions: the local functions around it.
    """

    severity: str
    node: int
    name: str
    op: str
    code: str
    text: str
    functions: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = " ".join(part for part in (self.op, self.name) if part)
        return f"{place}: {self.text}" if place else self.text


Record = tuple[str, str]  # (severity in upper case, text), as the logger gets it


_LOGGERS: dict[int, tuple[Any, Any]] = {}  # by module: (the module, its logger)


def _recording_logger(base: Any) -> Any:
    def start(self: Any) -> None:
        base.__init__(self)  # the bindings want their own constructor called by name
        self.records = []

    def log(self: Any, severity: Any, text: str) -> None:
        self.records.append((enum_name(severity), text))

    return type("RecordingLogger", (base,), {"__init__": start, "log": log})()


@dataclass(frozen=True)
class Backend:
    """A loaded library. flavor: "tensorrt" or "tensorrt-rtx". version: as numbers, e.g. (1, 7, 1, 116)."""

    module: Any
    flavor: str
    version: tuple[int, ...]

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))

    @property
    def builds_without_gpu(self) -> bool:
        return self.flavor == "tensorrt-rtx"

    def logger(self, records: list[Record]) -> Any:
        """The library's logger, which from now on appends what it is told to `records`.

        A process has one: the library goes on with the first that it was given, whatever it is given later.
        """
        _, made = _LOGGERS.setdefault(id(self.module), (self.module, _recording_logger(self.module.ILogger)))
        made.records = records
        return made

    def builder(self, logger: Any) -> Any:
        """A builder.

        Raises:
            BackendError: there is none, as on a machine without the GPU that TensorRT needs.
        """
        try:
            made = self.module.Builder(logger)
        except Exception as error:  # the bindings raise TypeError where the factory gives a null pointer
            made, reason = None, f": {error}"
        else:
            reason = ""
        if made is None:
            advice = "use --backend tensorrt-rtx" if self.flavor == "tensorrt" else ""
            raise BackendError(f"{self.flavor} {self.version_text} makes no builder here{reason}", hint=advice)
        return made

    def network(self, builder: Any) -> Any:
        """An empty, strongly typed network."""
        return builder.create_network(self.network_flags())

    def network_flags(self) -> int:
        """The flag has another number in TensorRT 10 than in 11 and in TensorRT-RTX."""
        return 1 << int(self.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    def config(
        self, builder: Any, network: Any, *, compute_capabilities: Sequence[str] = (),
        profiles: Sequence[Profile] = (), flags: Sequence[str] = (),
    ) -> Any:  # fmt: skip
        """How to build: layers named in the log, and exactly the given flags, by name.

        Raises:
            OptionError: an unknown flag or compute capability, or a profile that the network refuses.
        """
        made = builder.create_builder_config()
        made.profiling_verbosity = self.module.ProfilingVerbosity.DETAILED
        self._set_flags(made, flags)
        self._set_compute_capabilities(made, compute_capabilities)
        check_profiles(profiles, {t.name: (tuple(t.shape), t.is_shape_tensor) for t in tensors_in(network)})
        for profile in profiles:
            self._add_profile(builder, network, made, profile)
        return made

    def _set_flags(self, config: Any, names: Sequence[str]) -> None:
        known = self.module.BuilderFlag
        for name in names:
            if not hasattr(known, name):
                raise OptionError(f"{self.flavor} {self.version_text} has no builder flag {name}")
            config.set_flag(getattr(known, name))
        if "TF32" not in names and hasattr(known, "TF32"):  # on by default, and rounds float32
            config.clear_flag(known.TF32)

    def _set_compute_capabilities(self, config: Any, wanted: Sequence[str]) -> None:
        if not wanted:
            return
        known = getattr(self.module, "ComputeCapability", None)
        if known is None:
            raise OptionError(
                "TensorRT builds for the GPU of this machine only", hint="--compute-capability is for tensorrt-rtx"
            )
        config.num_compute_capabilities = len(wanted)
        for index, text in enumerate(wanted):
            member = getattr(known, "SM" + text.replace(".", ""), None)
            if member is None or not config.set_compute_capability(member, index):
                offered = ", ".join(self.compute_capabilities())
                raise OptionError(f"{self.flavor} does not build for compute capability {text}", hint=offered)

    def compute_capabilities(self) -> list[str]:
        """What engines may be built for, as "8.9"; empty where it is the GPU of this machine."""
        known = getattr(self.module, "ComputeCapability", None)
        numbers = [name[2:] for name in dir(known) if re.fullmatch(r"SM\d+", name)]
        return [f"{number[:-1]}.{number[-1]}" for number in sorted(numbers, key=int)]

    def _add_profile(self, builder: Any, network: Any, config: Any, profile: Profile) -> None:
        made = builder.create_optimization_profile()
        inputs = {tensor.name: tensor for tensor in tensors_in(network)}
        for name, sizes in profile.items():
            tensor = inputs[name]
            (made.set_shape_input if tensor.is_shape_tensor else made.set_shape)(name, *sizes)
        if config.add_optimization_profile(made) < 0:
            raise OptionError(f"{self.flavor} refuses the profile {profile.text()}")

    def cast_layer(self, layer: Any, kind: str) -> Any:
        """The layer as its own class, e.g. "IAttentionInputLayer"; read `layer.type` before."""
        layer.__class__ = getattr(self.module, kind)
        return layer


@dataclass
class ParsedNetwork:
    """A network made by the parser, with everything that has to live as long as it does.

    ok: whether the parser took the whole model. messages: what it said, with the nodes. records: the whole log.
    """

    backend: Backend
    builder: Any
    network: Any
    parser: Any
    logger: Any
    records: list[Record]
    ok: bool
    messages: list[Message] = field(default_factory=list)
    source: bytes | None = None

    @property
    def layers(self) -> list[Any]:
        return [self.network.get_layer(index) for index in range(self.network.num_layers)]

    @property
    def inputs(self) -> list[Any]:
        return tensors_in(self.network)

    @property
    def outputs(self) -> list[Any]:
        return [self.network.get_output(index) for index in range(self.network.num_outputs)]


def load_backend(name: str = "auto") -> Backend:
    """The library of a name, or the one that can build here.

    Args:
        name: "tensorrt", "tensorrt-rtx", or "auto": TensorRT if it is installed and a CUDA device answers, else
            TensorRT-RTX.

    Raises:
        BackendError: it is not installed or cannot be loaded.
    """
    if name != "auto" and name not in BACKENDS:
        raise OptionError(f"there is no backend '{name}'", hint=f"auto, {', '.join(BACKENDS)}")
    order = [name] if name != "auto" else ["tensorrt", "tensorrt-rtx"] if cuda_devices() else ["tensorrt-rtx"]
    reasons = []
    for flavor in order:
        try:
            return backend_of(importlib.import_module(BACKENDS[flavor]))
        except Exception as error:  # a missing wheel, or a library that the loader does not find
            reasons.append(f"{flavor}: {' '.join(str(error).split())}")
    missing = " or ".join(order)
    raise BackendError(f"{missing} cannot be loaded ({'; '.join(reasons)})", hint=INSTALL)


def backend_of(module: ModuleType | Any) -> Backend:
    """The adapter of a module that is loaded already."""
    missing = [name for name in _NEEDED if not hasattr(module, name)]
    if missing:
        raise BackendError(f"{module.__name__} has no {missing[0]}: it is no full TensorRT", hint=INSTALL)
    flavor = "tensorrt-rtx" if hasattr(module, "ComputeCapability") else "tensorrt"
    version = tuple(int(number) for number in re.findall(r"\d+", module.__version__)[:4])
    return Backend(module, flavor, version)


def cuda_devices() -> int:
    """Number of CUDA devices that the driver answers for; 0 without a driver."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def parse(backend: Backend, model: bytes | str | os.PathLike[str]) -> ParsedNetwork:
    """Read a model with the library's parser; a path for external data.

    A model that the parser does not take gives `ok` False and messages, no exception. The parser trusts the model:
    one that breaks it ends the process, so what users bring is parsed in a process of its own.
    """
    records: list[Record] = []
    logger = backend.logger(records)
    builder = backend.builder(logger)
    network = backend.network(builder)
    parser = backend.module.OnnxParser(network, logger)
    source = model if isinstance(model, bytes) else None
    ok = bool(parser.parse(model) if isinstance(model, bytes) else parser.parse_from_file(os.fspath(model)))
    messages = [*_errors(parser, records), *_warnings(records)]
    return ParsedNetwork(backend, builder, network, parser, logger, records, ok, messages, source)


def mark_attention_decomposable(parsed: ParsedNetwork) -> int:
    """Let attention for which there is no fused kernel be built from parts; how many there are.

    Without it the build fails for float32 and for small heads.
    """
    kind = getattr(parsed.backend.module.LayerType, "ATTENTION_INPUT", None)
    found = 0
    for layer in parsed.layers:
        if kind is not None and layer.type == kind:
            parsed.backend.cast_layer(layer, "IAttentionInputLayer").attention.decomposable = True
            found += 1
    return found


def tensors_in(network: Any) -> list[Any]:
    """The inputs of a network."""
    return [network.get_input(index) for index in range(network.num_inputs)]


def enum_name(member: Any) -> str:
    """ "FLOAT" of DataType.FLOAT, for every enumeration of the bindings."""
    return str(getattr(member, "name", member)).rsplit(".", 1)[-1]


def _errors(parser: Any, records: Sequence[Record]) -> Iterator[Message]:
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        name, op = error.node_name(), error.node_operator()
        if not name and not op:
            name, op = _parsed_last(records)
        functions: tuple[str, ...] = ()
        with contextlib.suppress(AttributeError):  # not in every version
            functions = tuple(error.local_function_stack())
        said_at = f"{error.func()} in {Path(error.file()).name}:{error.line()}"
        yield Message(
            "error", error.node(), name, op, f"{enum_name(error.code())}, {said_at}", _clear(error.desc(), op),
            functions,
        )


def _parsed_last(records: Sequence[Record]) -> tuple[str, str]:
    """(name, operator) of the node at which the parser stopped, for errors that do not say it."""
    found = (_PARSED.fullmatch(text) for _, text in reversed(records))
    match = next(filter(None, found), None)
    return (match["name"], match["op"]) if match else ("", "")


def _clear(text: str, op: str) -> str:
    """A description that says something: the parser's is often the bare condition that failed, "false"."""
    text = " ".join(text.split())
    return text if text and text != "false" else f"the parser does not take this {op or 'model'}"


def _warnings(records: Sequence[Record]) -> Iterator[Message]:
    for severity, text in records:
        if severity == "WARNING":
            yield Message("warning", -1, "", "", "", " ".join(text.split()))
