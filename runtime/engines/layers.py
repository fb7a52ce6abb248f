"""The layers of an engine, read from what the builder logs with detailed verbosity; that needs no GPU.

The log is text for people and may change with a version of the library: what is not understood raises, so that no
report is silently empty.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ...compiler.errors import BackendError
from .adapter import Record

_LAYER = re.compile(
    r"Name: (?P<name>.*?), LayerType: (?P<kind>\S+), Inputs: \[(?P<inputs>.*?)\], Constants: \[(?P<constants>.*?)\], "
    r"Outputs: \[(?P<outputs>.*?)\], TacticName: (?P<tactic>.*?), StreamId: (?P<stream>-?\d+)(?:, EventId: \d+)?"
    r"(?:, JumpTarget\w*: .*?)*, "
    r"Metadata: ?(?P<nodes>.*)",
    re.S,
)
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.*?), Dimensions: \[(?P<shape>[^\]]*)\], Strides: \[[^\]]*\], (?:StrideOrder: \[[^\]]*\], )?"
    r"Datatype: (?P<dtype>\w+), Format: (?P<format>.*?) \}(?=, \{ Name: |$)",
    re.S,
)
_BINDING = re.compile(
    r"\s*Name: (?P<name>.*), IOMode: (?P<mode>Input|Output), DataType: (?P<dtype>\w+), "
    r"Dimensions: \[(?P<shape>[^\]]*)\]"
)
_NODE = "[ONNX Layer: "
_NO_KERNEL = {"signal", "wait", "shape_call", "cjmp", "jmp"}  # order of streams, sizes, and jumps of loops


@dataclass(frozen=True)
class EngineTensor:
    """What a layer reads or writes; -1 stands for a dimension that is open."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    format: str = ""


@dataclass(frozen=True)
class EngineLayer:
    """A kernel of the engine, or a step between kernels. nodes: names of the ONNX nodes that are fused in it."""

    name: str
    kind: str
    inputs: tuple[EngineTensor, ...]
    constants: tuple[EngineTensor, ...]
    outputs: tuple[EngineTensor, ...]
    tactic: str
    stream: int
    nodes: tuple[str, ...]

    @property
    def is_kernel(self) -> bool:
        return self.kind not in _NO_KERNEL

    @property
    def role(self) -> str:
        """ "compute" if nodes are in it; "cast" or "reformat" if the builder added it between kernels; else "unnamed".

        Steps of loops name no nodes.
        """
        if self.nodes:
            return "compute"
        if len(self.inputs) != 1 or len(self.outputs) != 1 or self.constants:
            return "unnamed"
        before, after = self.inputs[0], self.outputs[0]
        if sorted(before.shape) != sorted(after.shape):
            return "unnamed"
        return "cast" if before.dtype != after.dtype else "reformat" if before.format != after.format else "unnamed"


@dataclass(frozen=True)
class EngineContent:
    """Layers in order of execution, and the tensors that are bound: name -> (Input or Output, dtype, shape)."""

    layers: list[EngineLayer] = field(default_factory=list)
    bindings: dict[str, tuple[str, str, tuple[int, ...]]] = field(default_factory=dict)

    def dtypes(self) -> dict[str, int]:
        """Number of kernels by the element type of their first input (of the first output where there is none)."""
        found = Counter(precision(layer) for layer in self.layers if layer.is_kernel)
        return dict(sorted(found.items()))

    def roles(self) -> dict[str, int]:
        """Number of kernels by role."""
        return dict(sorted(Counter(layer.role for layer in self.layers if layer.is_kernel).items()))


def precision(layer: EngineLayer) -> str:
    """The element type that a kernel reads, "-" for one without tensors."""
    tensors = layer.inputs or layer.outputs
    return tensors[0].dtype if tensors else "-"


def read_layers(records: Sequence[Record], nodes: Collection[str]) -> EngineContent:
    """What the builder logged of the engine.

    Args:
        nodes: names of the model's nodes, which may hold any character.

    Raises:
        BackendError: the log has no such part, or not in the form that is known.
    """
    text = next((text for _, text in reversed(records) if text.startswith("Layers:")), None)
    if text is None:
        if any(text.startswith("Engine Layer Information:") for _, text in records):
            raise _changed("it holds names of layers only, without detailed verbosity")
        raise _changed("it has no part 'Layers:'")
    body, marker, rest = text.partition("\n\nI/O Tensors:")
    if not marker:
        raise _changed("it has no part 'I/O Tensors:'")
    entries = re.split(r"\n(?=Name: )", body)[1:]
    bindings, _, _ = rest.partition("\n\nEngine Metadata:")
    return EngineContent([_layer(entry, nodes) for entry in entries], _bindings(bindings))


def _layer(entry: str, nodes: Collection[str]) -> EngineLayer:
    match = _LAYER.fullmatch(entry)
    if match is None:
        raise _changed(f"this is no layer: {entry[:200]}")
    return EngineLayer(
        match["name"], match["kind"], _tensors(match["inputs"]), _tensors(match["constants"]),
        _tensors(match["outputs"]), match["tactic"], int(match["stream"]), nodes_in(match["nodes"], nodes),
    )  # fmt: skip


def nodes_in(metadata: str, nodes: Collection[str]) -> tuple[str, ...]:
    """Names of the nodes that a layer says it comes from; of a node in a function, the one that calls it."""
    found = []
    for part in metadata.split(_NODE)[1:]:
        name = part.rpartition("]")[0]
        caller = name.rpartition(" | ")[2] if name not in nodes else name
        found.append(re.sub(r" \([^()]*\)$", "", caller) if caller not in nodes else caller)
    return tuple(dict.fromkeys(found))


def _tensors(text: str) -> tuple[EngineTensor, ...]:
    text = text.strip()
    found = tuple(EngineTensor(m["name"], _shape(m["shape"]), m["dtype"], m["format"]) for m in _TENSOR.finditer(text))
    if len(found) != text.count("{ Name: "):
        raise _changed(f"these are no tensors: {text[:200]}")
    return found


def _bindings(text: str) -> dict[str, tuple[str, str, tuple[int, ...]]]:
    found = {}
    for line in filter(str.strip, text.split("\n")):
        match = _BINDING.match(line)
        if match is None:
            raise _changed(f"this is no input or output: {line[:200]}")
        found[match["name"]] = (match["mode"], match["dtype"], _shape(match["shape"]))
    return found


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(",") if number.strip())
    except ValueError as error:
        raise _changed(f"this is no shape: [{text[:80]}]") from error


def _changed(what: str) -> BackendError:
    return BackendError(
        f"the builder's log has another form than is known: {what}",
        hint="use a version of the library that pip installs with planish[tensorrt-rtx]",
    )
