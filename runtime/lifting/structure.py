"""Which layers make up the body of a loop or the branches of a condition, and in which order layers can be written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ...compiler.errors import UnsupportedModelError
from .network import Layer, Tensor

_LOOP_KINDS = frozenset({"TRIP_LIMIT", "RECURRENCE", "ITERATOR", "LOOP_OUTPUT"})
_CONDITION_KINDS = frozenset({"CONDITION", "CONDITIONAL_OUTPUT"})


@dataclass(eq=False)
class Block:
    """A loop or a condition. boundary: its own layers, by kind; inner: the layers that it holds."""

    is_loop: bool
    boundary: dict[str, list[Layer]] = field(default_factory=dict)
    inner: set[Layer] = field(default_factory=set)

    def of_kind(self, kind: str) -> list[Layer]:
        """Boundary layers of one kind."""
        return self.boundary.get(kind, [])

    @property
    def layers(self) -> set[Layer]:
        """All of its layers."""
        return self.inner | {layer for group in self.boundary.values() for layer in group}

    @property
    def outputs(self) -> list[Layer]:
        """The layers that hand on what it computes."""
        return self.of_kind("LOOP_OUTPUT" if self.is_loop else "CONDITIONAL_OUTPUT")


Unit = Layer | Block


class Structure:
    """The layers of a network with who makes and who reads a tensor. results: names of the network's outputs."""

    def __init__(self, layers: Sequence[Layer], results: Collection[str] = ()) -> None:
        self.layers, self._results = list(layers), set(results)
        self._position = {layer: index for index, layer in enumerate(layers)}
        self._producer = {tensor.name: layer for layer in layers for tensor in layer.outputs}
        self._readers: dict[str, list[Layer]] = {}
        for layer in layers:
            for tensor in layer.inputs:
                if tensor is not None:
                    self._readers.setdefault(tensor.name, []).append(layer)
        self._unit: dict[Layer, Unit] = {}  # the outermost block found so far that holds a layer
        self.blocks = self._find_blocks()
        for block in self.blocks:
            block.inner = set(_layers_of(self._dependent(block) if block.is_loop else self._exclusive(block)))
            self._unit.update(dict.fromkeys(block.layers, block))

    def _find_blocks(self) -> list[Block]:
        """Loops and conditions, inner ones first: what is inside ends before what is around it."""
        found: dict[int, tuple[object, Block]] = {}
        for layer in self.layers:
            if layer.kind in _LOOP_KINDS or layer.kind in _CONDITION_KINDS:
                is_loop = layer.kind in _LOOP_KINDS
                owner = layer.raw.loop if is_loop else layer.raw.conditional
                block = found.setdefault(id(owner), (owner, Block(is_loop)))[1]
                block.boundary.setdefault(layer.kind, []).append(layer)
        blocks = [block for _, block in found.values()]
        return sorted(blocks, key=lambda block: max((self._position[layer] for layer in block.outputs), default=0))

    def _unit_of(self, layer: Layer) -> Unit:
        return self._unit.get(layer, layer)

    def _readers_of(self, unit: Unit) -> Iterator[Layer]:
        for layer in _layers_of((unit,)):
            for tensor in layer.outputs:
                yield from self._readers.get(tensor.name, ())

    def _dependent(self, block: Block) -> set[Unit]:
        """What depends on the iteration of a loop."""
        ends = {*block.outputs, *block.of_kind("TRIP_LIMIT"), *block.of_kind("RECURRENCE")}
        found: set[Unit] = set()
        waiting: list[Unit] = [*block.of_kind("RECURRENCE"), *block.of_kind("ITERATOR")]
        while waiting:
            for reader in self._readers_of(waiting.pop()):
                unit = self._unit_of(reader)
                if unit not in found and reader not in ends:
                    found.add(unit)
                    waiting.append(unit)
        return found

    def _exclusive(self, block: Block) -> set[Unit]:
        """What one branch of a condition alone needs: it is not computed when the other one is taken."""
        then, other = (self._sources_of(layer.inputs[index] for layer in block.outputs) for index in (0, 1))
        found = (then ^ other) - self._sources_of(t for layer in block.of_kind("CONDITION") for t in layer.inputs)
        found = {unit for unit in found if isinstance(unit, Block) or unit.kind != "CONSTANT"}
        own = set(block.outputs)
        while True:
            kept = {unit for unit in found if self._is_read_only_by(unit, found, own)}
            if kept == found:
                return found
            found = kept

    def _is_read_only_by(self, unit: Unit, units: set[Unit], layers: set[Layer]) -> bool:
        if any(tensor.name in self._results for layer in _layers_of((unit,)) for tensor in layer.outputs):
            return False
        readers = (reader for reader in self._readers_of(unit) if self._unit_of(reader) is not unit)
        return all(reader in layers or self._unit_of(reader) in units for reader in readers)

    def _sources_of(self, tensors: Iterable[Tensor | None]) -> set[Unit]:
        """Everything that tensors are computed from."""
        found: set[Unit] = set()
        waiting = list(tensors)
        while waiting:
            tensor = waiting.pop()
            layer = None if tensor is None else self._producer.get(tensor.name)
            if layer is None or (unit := self._unit_of(layer)) in found:
                continue
            found.add(unit)
            waiting += [needed for one in _layers_of((unit,)) for needed in one.inputs]
        return found

    def needed_inside(self, block: Block, tensors: Sequence[Tensor | None]) -> set[Layer]:
        """The layers of a block from which tensors are computed."""
        found: set[Layer] = set()
        waiting = list(tensors)
        while waiting:
            tensor = waiting.pop()
            layer = None if tensor is None else self._producer.get(tensor.name)
            if layer in block.inner and layer not in found:
                within = next((b for b in self._direct(block.inner, block) if layer in b.layers), None)
                added = {layer} if within is None else within.layers
                found |= added
                waiting += [needed for one in added for needed in one.inputs]
        return found

    def _direct(self, layers: Collection[Layer], of: Block | None) -> list[Block]:
        """The blocks among layers that stand in no other one there."""
        own = set(layers)
        blocks = [b for b in self.blocks if b is not of and b.layers <= own]
        return [b for b in blocks if not any(o is not b and b.layers < o.layers for o in blocks)]

    def units(self, layers: Collection[Layer], of: Block | None = None) -> list[Unit]:
        """Layers and the blocks among them, producers before readers."""
        own = set(layers)
        block_of: dict[Layer, Unit] = {layer: block for block in self._direct(own, of) for layer in block.layers}
        in_order = sorted(own, key=self._position.__getitem__)
        units = list(dict.fromkeys(block_of.get(layer, layer) for layer in in_order))
        return _ordered(units, {unit: list(self._direct_sources(unit, block_of, own)) for unit in units})

    def _direct_sources(self, unit: Unit, block_of: dict[Layer, Unit], own: set[Layer]) -> Iterator[Unit]:
        for layer in _layers_of((unit,)):
            for tensor in layer.inputs:
                source = None if tensor is None else self._producer.get(tensor.name)
                if source is not None and source in own and (found := block_of.get(source, source)) is not unit:
                    yield found


def _layers_of(units: Iterable[Unit]) -> Iterator[Layer]:
    for unit in units:
        if isinstance(unit, Block):
            yield from unit.layers
        else:
            yield unit


def _ordered(units: Sequence[Unit], sources: dict[Unit, list[Unit]]) -> list[Unit]:
    """Producers first; otherwise as they come."""
    order: list[Unit] = []
    state: dict[Unit, bool] = {}  # False: begun, True: placed
    for start in units:
        stack: list[tuple[Unit, Iterator[Unit]]] = [(start, iter(sources[start]))] if start not in state else []
        state.setdefault(start, False)
        while stack:
            unit, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                state[unit] = True
                order.append(unit)
                stack.pop()
            elif following not in state:
                state[following] = False
                stack.append((following, iter(sources[following])))
            elif not state[following]:
                raise UnsupportedModelError(f"the layers of the network read one another in a circle: {following}")
    return order
