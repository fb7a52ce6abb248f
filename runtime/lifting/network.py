"""The layers of a TensorRT network: what they read, what they give, and their attributes as plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .element_types import onnx_type

# Kinds whose class is not called after them in the plain way, e.g. GRID_SAMPLE is an IGridSampleLayer
_CLASSES = {
    "CONDITIONAL_INPUT": "IIfConditionalInputLayer", "CONDITIONAL_OUTPUT": "IIfConditionalOutputLayer",
    "ELEMENTWISE": "IElementWiseLayer", "KV_CACHE_UPDATE": "IKVCacheUpdateLayer", "LRN": "ILRNLayer",
    "NMS": "INMSLayer", "PARAMETRIC_RELU": "IParametricReLULayer", "RAGGED_SOFTMAX": "IRaggedSoftMaxLayer",
    "SOFTMAX": "ISoftMaxLayer", "TOPK": "ITopKLayer",
}  # fmt: skip
_ORIGIN = re.compile(r"\[ONNX Layer: (.*?)\]")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """A tensor of a network. shape: -1 for what is known at run time only; None if not even the rank is known."""

    name: str
    type_name: str
    shape: Shape | None

    @property
    def type(self) -> int:
        """The ONNX type."""
        return onnx_type(self.type_name)

    @property
    def rank(self) -> int:
        if self.shape is None:
            raise ValueError(f"the rank of {self.name} is not known")
        return len(self.shape)


class Layer:
    """A layer. raw: the bindings' object, as its own class, for attributes that only one kind has."""

    def __init__(self, raw: Any, module: Any) -> None:
        self.kind = enum_name(raw.type)  # the classes of activations and poolings have a `type` of another meaning
        self.name: str = raw.name
        self.inputs: list[Tensor | None] = [_tensor(raw.get_input(index)) for index in range(raw.num_inputs)]
        outputs = (_tensor(raw.get_output(index)) for index in range(raw.num_outputs))
        self.outputs: list[Tensor] = [tensor for tensor in outputs if tensor is not None]
        self.origins: list[str] = _ORIGIN.findall(raw.metadata or "")
        own_class = getattr(module, _CLASSES.get(self.kind) or _class_name(self.kind), None)
        if own_class is not None:
            raw.__class__ = own_class
        self.raw = raw

    def __str__(self) -> str:
        return f"{self.kind} layer '{self.name}'"

    def given(self, index: int) -> Tensor | None:
        """An input; None if it is not there."""
        return self.inputs[index] if index < len(self.inputs) else None

    def choice(self, attribute: str) -> str:
        """The name of an attribute's value, e.g. "SAME_UPPER"."""
        return enum_name(getattr(self.raw, attribute))

    def dims(self, attribute: str) -> list[int] | None:
        """An attribute of several integers; None where it is not set."""
        value = getattr(self.raw, attribute)
        try:
            return None if value is None else [int(number) for number in value]
        except ValueError:  # a negative number of dimensions means that there are none
            return None

    def bits(self, attribute: str, rank: int) -> list[int]:
        """The axes in a bit mask."""
        mask = int(getattr(self.raw, attribute))
        return [axis for axis in range(rank) if mask >> axis & 1]


def read_layers(network: Any, module: Any) -> list[Layer]:
    """All layers, in the order in which the parser made them."""
    return [Layer(network.get_layer(index), module) for index in range(network.num_layers)]


def read_tensors(tensors: Iterable[Any]) -> list[Tensor]:
    """Tensors of the bindings as plain data."""
    return [tensor for raw in tensors if (tensor := _tensor(raw)) is not None]


def layer_table(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Name, kind, inputs and outputs of every layer, and the nodes of the model that it comes from."""
    return [
        {
            "name": layer.name, "kind": layer.kind, "nodes": layer.origins,
            "inputs": [None if tensor is None else _described(tensor) for tensor in layer.inputs],
            "outputs": [_described(tensor) for tensor in layer.outputs],
        }
        for layer in layers
    ]  # fmt: skip


def _described(tensor: Tensor) -> dict[str, Any]:
    shape = None if tensor.shape is None else list(tensor.shape)
    return {"name": tensor.name, "dtype": tensor.type_name, "shape": shape}


def enum_name(member: Any) -> str:
    """ "FLOAT" of DataType.FLOAT, for every enumeration of the bindings."""
    return str(getattr(member, "name", member)).rsplit(".", 1)[-1]


def _tensor(raw: Any) -> Tensor | None:
    if raw is None:
        return None
    try:
        shape: Shape | None = tuple(int(extent) for extent in raw.shape)
    except (ValueError, RuntimeError):  # no rank, or inputs for which the layer has none
        shape = None
    return Tensor(raw.name, enum_name(raw.dtype), shape)


def _class_name(kind: str) -> str:
    return "I" + "".join(word.capitalize() for word in kind.split("_")) + "Layer"
