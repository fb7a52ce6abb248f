"""From a network of TensorRT to an ONNX model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import ModelProto, ValueInfoProto, helper

from ...compiler.errors import UnsupportedModelError
from .control_flow import BlockLifter
from .element_types import COMPUTED_IN
from .emitter import Emitter, Frame
from .network import Layer, Tensor, layer_table, read_layers, read_tensors
from .structure import Block, Structure, Unit
from .table import LIFTERS, NARROW

# ONNX Runtime has kernels for the random generators up to opset 21; float4 came with 23, float8e8m0 with 24
_VERSIONS, _NEW_TYPES_VERSIONS = (21, 10), (24, 12)
_NEW_TYPES = frozenset({"FP4", "E8M0"})
_WITHOUT_RESULT = frozenset({"ASSERTION"})


@dataclass
class Lifted:
    """An ONNX model that computes what a network computes. layers: a table of the network's layers."""

    model: ModelProto
    layers: list[dict[str, Any]] = field(default_factory=list)


def lift(network: Any, module: Any) -> Lifted:
    """Write a network as an ONNX model with the same names, types and shapes of inputs and outputs.

    Values keep the names that the network has for its tensors: those of the source model, as far as the parser keeps
    them.

    Args:
        network: an INetworkDefinition, with the objects that hold its weights alive.
        module: the bindings that it comes from.

    Raises:
        UnsupportedModelError: a layer has no counterpart in ONNX; the message names it.
    """
    layers = read_layers(network, module)
    inputs = read_tensors(network.get_input(index) for index in range(network.num_inputs))
    outputs = read_tensors(network.get_output(index) for index in range(network.num_outputs))
    symbols = [_symbols(network.get_input(index)) for index in range(network.num_inputs)]
    emitter = _Lifting(layers, inputs, outputs).run()
    graph = helper.make_graph(
        emitter.nodes, "network",
        [_info(tensor, names) for tensor, names in zip(inputs, symbols, strict=True)],
        [_info(tensor, {}) for tensor in outputs], emitter.initializers,
    )  # fmt: skip
    tensors = [*inputs, *(tensor for layer in layers for tensor in layer.outputs)]
    has_new_types = any(tensor.type_name in _NEW_TYPES for tensor in tensors)
    opset, ir_version = _NEW_TYPES_VERSIONS if has_new_types else _VERSIONS
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name="planish")
    return Lifted(model, layer_table(layers))


class _Lifting:
    """One run over the layers of a network."""

    def __init__(self, layers: Sequence[Layer], inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self._structure = Structure(layers, [tensor.name for tensor in outputs])
        self._emitter = Emitter()
        tensors = [*inputs, *outputs, *(tensor for layer in layers for tensor in layer.outputs)]
        self._emitter.reserve(tensor.name for tensor in tensors)
        self._blocks = BlockLifter(self._emitter, self._structure, self._write)
        self._inputs, self._outputs = inputs, outputs

    def run(self) -> Emitter:
        layers = self._structure.layers
        for layer in layers:
            if layer.kind == "CONSTANT":
                self._write([layer])
        self._write(self._structure.units([layer for layer in layers if layer.kind != "CONSTANT"]))
        made = {name for node in self._emitter.nodes for name in node.output}
        for tensor in self._outputs:  # an output that is an input, or a constant
            name = self._emitter.name_of(tensor)
            if name != tensor.name or tensor.name not in made:
                self._finish(name, tensor.name)
        return self._emitter

    def _finish(self, value: str, output: str) -> None:
        if value != output:
            self._emitter.nodes.append(helper.make_node("Identity", [value], [output], name=output))

    def _write(self, units: Sequence[Unit]) -> None:
        for unit in units:
            if isinstance(unit, Block):
                self._blocks.lift(unit)
            elif unit.kind not in _WITHOUT_RESULT:
                self._layer(unit)

    def _layer(self, layer: Layer) -> None:
        """Write the nodes of a layer; the values that it gives get the names of its tensors."""
        lifter = LIFTERS.get(layer.kind)
        if lifter is None:
            raise UnsupportedModelError(f"{layer} cannot be lifted: ONNX has no such operation")
        emitter = self._emitter
        first = len(emitter.nodes)
        frame = Frame(emitter, layer, layer.kind in NARROW)
        found = lifter(frame)
        results = [found] if isinstance(found, str) else found
        for tensor, result in zip(layer.outputs, results, strict=False):
            if layer.kind not in NARROW and tensor.type in COMPUTED_IN:
                result = frame.cast(result, tensor.type)
            emitter.values[tensor.name] = result
        emitter.adopt_names(first, layer.outputs)


def _symbols(raw: Any) -> dict[int, str]:
    """The names of an input's dimensions that are known at run time only."""
    try:
        rank = len(raw.shape)
    except ValueError:
        return {}
    return {axis: name for axis in range(rank) if (name := raw.get_dimension_name(axis))}


def _info(tensor: Tensor, symbols: dict[int, str]) -> ValueInfoProto:
    shape = None if tensor.shape is None else [
        symbols.get(axis) if extent < 0 else extent for axis, extent in enumerate(tensor.shape)
    ]  # fmt: skip
    return helper.make_tensor_value_info(tensor.name, tensor.type, shape)
