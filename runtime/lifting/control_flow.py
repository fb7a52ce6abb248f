"""Loops and conditions: their layers as the bodies of Loop and If."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

from ...compiler.errors import UnsupportedModelError
from .emitter import Emitter
from .network import Layer, Tensor
from .structure import Block, Structure, Unit

Write = Callable[[Sequence[Unit]], None]


class BlockLifter:
    """Writes loops and conditions. write: writes units into the body that is open."""

    def __init__(self, emitter: Emitter, structure: Structure, write: Write) -> None:
        self._emitter, self._structure, self._write = emitter, structure, write

    def lift(self, block: Block) -> None:
        """Write a block where its outputs can be read."""
        if block.is_loop:
            self._loop(block)
        else:
            self._condition(block)

    # --- conditions

    def _condition(self, block: Block) -> None:
        condition = self._emitter.name_of(block.of_kind("CONDITION")[0].inputs[0])
        branches = [self._branch(block, index) for index in (0, 1)]
        names = [layer.outputs[0].name for layer in block.outputs]
        name = self._emitter.fresh("If")
        self._emitter.nodes.append(
            helper.make_node("If", [condition], names, name=name, then_branch=branches[0], else_branch=branches[1])
        )

    def _branch(self, block: Block, index: int) -> GraphProto:
        with self._emitter.body() as nodes:
            needed = self._structure.needed_inside(block, [layer.inputs[index] for layer in block.outputs])
            self._write(self._structure.units(needed, block))
            results = [self._handed_on(layer.inputs[index]) for layer in block.outputs]
        return _graph(self._emitter.fresh("branch"), nodes, [], results)

    def _handed_on(self, tensor: Tensor | None) -> ValueInfoProto:
        """A body may not give a value of the outer graph as it is."""
        if tensor is None:
            raise UnsupportedModelError("a branch gives nothing")
        name = self._emitter.op("Identity", [self._emitter.name_of(tensor)])[0]
        return _info(name, tensor)

    # --- loops

    def _loop(self, block: Block) -> None:
        emitter = self._emitter
        limits = {layer.choice("kind"): layer.inputs[0] for layer in block.of_kind("TRIP_LIMIT")}
        count = self._scalar(limits["COUNT"]) if limits.get("COUNT") is not None else ""
        recurrences, outputs = block.of_kind("RECURRENCE"), block.outputs
        initial = [emitter.name_of(layer.inputs[0]) for layer in recurrences]
        first = self._goes_on(block, limits, initial) if "WHILE" in limits else ""
        body = self._body(block, limits, count)
        states = [emitter.fresh("state") for _ in recurrences]
        scans = [emitter.fresh("scan") for layer in outputs if layer.choice("kind") != "LAST_VALUE"]
        emitter.nodes.append(
            helper.make_node("Loop", [count, first, *initial], [*states, *scans], name=emitter.fresh("Loop"), body=body)
        )
        final = {layer.outputs[0].name: state for layer, state in zip(recurrences, states, strict=True)}
        waiting = iter(scans)
        for layer in outputs:
            if layer.choice("kind") == "LAST_VALUE":
                self._last_value(layer, final)
            else:
                self._stacked(layer, next(waiting))

    def _body(self, block: Block, limits: dict[str, Tensor | None], count: str) -> GraphProto:
        emitter, recurrences = self._emitter, block.of_kind("RECURRENCE")
        iteration, goes_on = emitter.fresh("iteration"), emitter.fresh("condition")
        states = [emitter.fresh("state") for _ in recurrences]
        with emitter.body() as nodes:
            for layer, state in zip(recurrences, states, strict=True):
                emitter.values[layer.outputs[0].name] = state
            for layer in block.of_kind("ITERATOR"):
                self._iterator(layer, iteration, count)
            self._write(self._structure.units(block.inner, block))
            following = [self._handed_on(layer.inputs[1]) for layer in recurrences]
            scanned = [self._handed_on(o.inputs[0]) for o in block.outputs if o.choice("kind") != "LAST_VALUE"]
            if "WHILE" in limits:
                again = self._goes_on(block, limits, [info.name for info in following])
            else:
                again = emitter.op("Identity", [goes_on])[0]
        inputs = [
            helper.make_tensor_value_info(iteration, TensorProto.INT64, []),
            helper.make_tensor_value_info(goes_on, TensorProto.BOOL, []),
            *(_info(state, layer.outputs[0]) for layer, state in zip(recurrences, states, strict=True)),
        ]
        results = [helper.make_tensor_value_info(again, TensorProto.BOOL, None), *following, *scanned]
        return _graph(emitter.fresh("body"), nodes, inputs, results)

    def _goes_on(self, block: Block, limits: dict[str, Tensor | None], states: Sequence[str]) -> str:
        """Whether a loop goes on in these states: what its condition is computed from, written for them."""
        emitter = self._emitter
        with emitter.scope():
            for layer, state in zip(block.of_kind("RECURRENCE"), states, strict=True):
                emitter.values[layer.outputs[0].name] = state
            needed = self._structure.needed_inside(block, [limits["WHILE"]])
            self._write(self._structure.units(needed, block))
            return emitter.op("Reshape", [emitter.name_of(limits["WHILE"]), emitter.integers([])])[0]

    def _scalar(self, tensor: Tensor | None) -> str:
        wide = self._emitter.op("Cast", [self._emitter.name_of(tensor)], to=TensorProto.INT64)
        return self._emitter.op("Reshape", [wide[0], self._emitter.integers([])])[0]

    def _iterator(self, layer: Layer, iteration: str, count: str) -> None:
        emitter, index = self._emitter, iteration
        if layer.raw.reverse:
            if not count:
                raise UnsupportedModelError(f"{layer} cannot be lifted: it runs backwards from an unknown end")
            last = emitter.op("Sub", [count, emitter.integers(1)])[0]
            index = emitter.op("Sub", [last, iteration])[0]
        picked = emitter.op("Gather", [emitter.name_of(layer.inputs[0]), index], axis=layer.raw.axis)[0]
        emitter.values[layer.outputs[0].name] = picked

    def _last_value(self, layer: Layer, final: dict[str, str]) -> None:
        tensor = layer.inputs[0]
        if tensor is None or tensor.name not in final:
            raise UnsupportedModelError(f"{layer} cannot be lifted: it is not the value of a recurrence")
        self._named(final[tensor.name], layer.outputs[0])

    def _stacked(self, layer: Layer, scan: str) -> None:
        """The values of all iterations along an axis, the last one first if they are reversed."""
        emitter, axis = self._emitter, layer.raw.axis
        if layer.choice("kind") == "REVERSE":
            ends = [emitter.integers([number]) for number in (-1, -(2**63), 0, -1)]
            scan = emitter.op("Slice", [scan, *ends])[0]
        if axis:
            rank = layer.outputs[0].rank
            scan = emitter.op("Transpose", [scan], perm=[*range(1, axis + 1), 0, *range(axis + 1, rank)])[0]
        self._named(scan, layer.outputs[0])

    def _named(self, value: str, tensor: Tensor) -> None:
        self._emitter.nodes.append(
            helper.make_node("Identity", [value], [tensor.name], name=self._emitter.fresh("Identity"))
        )


def _info(name: str, tensor: Tensor) -> ValueInfoProto:
    """The type, and the rank if it is known: extents may differ from one iteration to the next."""
    shape = None if tensor.shape is None else [None] * len(tensor.shape)
    return helper.make_tensor_value_info(name, tensor.type, shape)


def _graph(
    name: str, nodes: list[NodeProto], inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]
) -> GraphProto:
    return helper.make_graph(nodes, name, inputs, outputs)
