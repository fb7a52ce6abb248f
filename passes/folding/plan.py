"""Which nodes are to be computed now, and which of their results are worth keeping as constants."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Iterator, Sequence

import numpy as np

from ...compiler import dtypes
from ...compiler.attributes import AttributeReference, bits
from ...compiler.cost import cost_of
from ...compiler.graph import Node, Value
from ...compiler.symbolic import product
from ...compiler.tensor import Tensor
from .bounded_loops import is_bounded
from .determinism import is_deterministic
from .exact_movement import LARGEST

_KEPT_OPS = frozenset({"Constant", "QuantizeLinear", "DequantizeLinear"})
_MOST_WORK = 1 << 30  # floating-point operations of one node
_NUMBERED = 1024  # bytes up to which constants are told apart by their elements and not only by identity
_WEIGHT = 1024  # elements from which a constant counts as a weight, whose type was chosen for its size


class Plan:
    """Nodes whose values are known, in order.

    chosen: the nodes. results: values that are known already. kept: nodes that are computed for the sake of others but
    stay in the graph. refused: why nodes of constant inputs are not to be computed. classes: equal nodes (in bodies
    that do not see each other they can be folded but not merged), by the first of them, their leader.
    """

    def __init__(self) -> None:
        self.chosen: dict[Node, None] = {}
        self.results: dict[Value, Tensor] = {}
        self.kept: set[Node] = set()
        self.refused: dict[Node, str] = {}
        self.classes: dict[Node, list[Node]] = {}
        self.leaders: dict[Node, Node] = {}
        self._by_key: dict[Hashable, Node] = {}

    def choose(self, nodes: Iterable[Node], unfoldable: Container[Node]) -> None:
        """Take what can be computed of these nodes, and of what reads them."""
        queue = list(nodes)
        for node in queue:  # grows
            if node.alive and node not in self.chosen and node not in unfoldable and self._takes(node):
                for value in node.outputs:
                    if value is not None:
                        queue.extend(value.readers)

    def _takes(self, node: Node) -> bool:
        if node.op == "Constant":
            return False
        if self._take_contents(node):
            return True
        if not all(v is None or v.constant is not None or v.producer in self.chosen for v in node.inputs):
            return False
        if not node.inputs or not _computable(node) or self._is_too_much(node):
            return False
        inputs = tuple(self._meaning(v) for v in node.inputs)
        attributes = tuple(sorted((name, bits(name, value)) for name, value in node.attributes.items()))
        key = node if node.bodies else (node.op, node.version, inputs, attributes, len(node.outputs))
        self._add(node, key)
        return True

    def _is_too_much(self, node: Node) -> bool:
        largest = max((self.nbytes(v) or 0 for v in node.outputs if v is not None), default=0)
        if largest > LARGEST:
            self.refused[node] = f"the result has {largest} bytes"
        elif cost_of(node).flops > _MOST_WORK:
            self.refused[node] = "it takes too long to compute now"
        return node in self.refused

    def _take_contents(self, node: Node) -> bool:
        used = [v for v in node.outputs if v is not None and v.uses]
        if not used or any(v.content is None for v in used):
            return False
        arrays = [known_content(v) for v in used]
        if any(array is None for array in arrays):
            return False
        self.results.update((v, Tensor.from_array(a)) for v, a in zip(used, arrays) if a is not None)
        self._add(node, node)
        return True

    def _add(self, node: Node, key: Hashable) -> None:
        leader = self._by_key.setdefault(key, node)
        self.chosen[node] = None
        self.leaders[node] = leader
        self.classes.setdefault(leader, []).append(node)

    def _meaning(self, value: Value | None) -> Hashable:
        producer = None if value is None else value.producer
        if value is None:
            return None
        if producer is not None and producer in self.leaders:
            return (self.leaders[producer], value.index)
        tensor = value.constant
        return value if tensor is None or tensor.nbytes > _NUMBERED else tensor.digest()

    def canonical(self, value: Value) -> Value:
        """The value of the first of several equal nodes."""
        leader = None if value.producer is None else self.leaders.get(value.producer)
        found = None if leader is None else leader.outputs[value.index]
        return value if found is None else found

    def twins(self, node: Node, index: int) -> list[Value]:
        """What a node of a class and its equals give at one place."""
        outputs = [member.outputs[index] for member in self.classes[self.leaders[node]]]
        return [value for value in outputs if value is not None]

    def read_outside(self, value: Value) -> bool:
        """True if something that stays in the graph reads the value."""
        return any(not isinstance(r, Node) or r not in self.chosen or r in self.kept for r, _ in value.uses)

    def nbytes(self, value: Value) -> int | None:
        """Size of a value, None if it is not known before it is computed."""
        known = self.results.get(value)
        if known is not None:
            return known.nbytes
        count = None if value.shape is None else product(value.shape)
        return dtypes.nbytes(value.dtype, count) if isinstance(count, int) else None

    def needed(self) -> list[Node]:
        """The first node of each class that has to be computed, in order."""
        wanted: set[Node] = set()
        for leader, members in reversed(self.classes.items()):
            outputs = [v for node in members for v in node.outputs if v is not None]
            replaced = leader not in self.kept and any(self.read_outside(v) for v in outputs)
            if replaced or any(self.leaders.get(reader) in wanted for v in outputs for reader in v.readers):
                wanted.add(leader)
        return [node for node in self.chosen if node in wanted]

    def keep_what_is_missing(self) -> None:
        """Let those nodes stay that are to be replaced but could not be computed."""
        for leader, members in reversed(self.classes.items()):
            outputs = [(v, i) for node in members for i, v in enumerate(node.outputs) if v is not None]
            if any(self.read_outside(v) and leader.outputs[i] not in self.results for v, i in outputs):
                self.kept.update(members)

    def freed(self, members: Sequence[Node]) -> int:
        """Bytes of constants that only these nodes, or nodes folded with them, read."""
        freed, stack = 0, list(members)
        unread: dict[Value, int] = {}
        while stack:
            for value in stack.pop().inputs:
                if value is None:
                    continue
                unread[value] = unread.get(value, len(value.uses)) - 1
                if unread[value]:
                    continue
                producer, tensor = value.producer, value.constant
                if tensor is not None:
                    freed += tensor.nbytes
                elif producer is not None and not any(unread.get(v, len(v.uses)) for v in _present(producer)):
                    stack.append(producer)
        return freed

    def unpacked_type(self, node: Node) -> str:
        """The type in which the file keeps a weight that a Cast behind this node widens, "" if there is none."""
        for behind in self._closure(node):
            source = behind.input(0)
            if behind.op != "Cast" or source is None or source.constant is None or source.constant.size < _WEIGHT:
                continue
            if dtypes.BITS.get(source.dtype, 0) < dtypes.BITS.get(behind.output.dtype, 0):
                return dtypes.name_of(source.dtype)
        return ""

    def _closure(self, node: Node) -> Iterator[Node]:
        seen, stack = {node}, [node]
        while stack:
            current = stack.pop()
            yield current
            for value in current.inputs:
                producer = None if value is None else value.producer
                if producer is not None and producer in self.chosen and producer not in seen:
                    seen.add(producer)
                    stack.append(producer)


def _present(node: Node) -> list[Value]:
    return [v for v in node.outputs if v is not None]


def known_content(value: Value) -> np.ndarray | None:
    """The elements of an integer tensor that inference found out, if all are numbers."""
    content, shape = value.content, value.shape
    if content is None or shape is None or not all(isinstance(x, int) for x in (*content, *shape)):
        return None
    if value.dtype not in dtypes.INTEGER | {dtypes.BOOL} or product(shape) != len(content):
        return None
    try:
        # numpy refuses numbers that the type cannot hold
        return np.array(content, dtype=dtypes.to_numpy(value.dtype)).reshape(shape)  # type: ignore[arg-type]
    except OverflowError:
        return None


def _computable(node: Node) -> bool:
    if node.op in _KEPT_OPS or node.domain or not is_deterministic(node):
        return False
    if node.bodies and not is_bounded(node):
        return False
    if any(isinstance(a, AttributeReference) for a in node.attributes.values()):
        return False
    return all(v is None or (v.is_tensor and v.dtype) for v in node.outputs)
