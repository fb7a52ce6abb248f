"""The only writer of graphs: a rewrite is planned without touching anything, then committed whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

import numpy as np
from onnx.helper import make_tensor_type_proto

from .attributes import Attribute
from .copying import BodyCopy, duplicate
from .dead_code import Narrowing, drop_unused_initializer, remove_if_dead
from .graph import Graph, Node, Value
from .inference.engine import infer_node, outermost_reader, refresh
from .journal import Changes, Fuel, Journal, Rewrite, key_of
from .model import Model
from .provenance import origins_of, owners_of
from .refusal import Refusal
from .target_operators import objection
from .tensor import Tensor


class Rewriter:
    """Plans one rewrite around `anchor`: new nodes come right before it, its readers move to what replaces it.

    Nothing changes before `commit`; `refuse` abandons the plan. Values returned by `op` and `constant` already have
    inferred facts.
    """

    def __init__(
        self, pass_name: str, anchor: Node, matched: Sequence[Node], journal: Journal, fuel: Fuel, changes: Changes
    ) -> None:
        self.anchor = anchor
        self.graph: Graph = anchor.graph
        self.model: Model = anchor.graph.model
        self._pass_name, self._matched = pass_name, list(dict.fromkeys(matched))
        self._journal, self._fuel, self._changes = journal, fuel, changes
        self._nodes: list[Node] = []
        self._constants: list[Value] = []
        self._replacements: dict[Value, Value] = {}
        self._inputs: list[tuple[Node, int, Value | None]] = []
        self._attributes: list[tuple[Node, str, Attribute]] = []
        self._dropped: list[tuple[Node, int]] = []
        self._swaps: list[tuple[Node, str, str]] = []
        self._narrowed: list[tuple[Node, Narrowing]] = []
        self._names: dict[Value, str] = {}
        self._renamed: list[tuple[Node, str]] = []
        self._copied: dict[Node, tuple[Node, BodyCopy]] = {}
        self._note = ""
        self.target = "onnx"

    @property
    def planned(self) -> tuple[list[Node], dict[Value, Value]]:
        """(new nodes, new value -> the value that it is going to replace), for asking what the plan would cost."""
        return list(self._nodes), {new: old for old, new in self._replacements.items()}

    @property
    def notes(self) -> dict[object, object]:
        """What passes worked out about the graph as it is now."""
        return self._changes.notes()

    def refuse(self, reason: str) -> NoReturn:
        """Give up this rewrite; the reason becomes a remark."""
        raise Refusal(reason)

    def include(self, nodes: Iterable[Node]) -> None:
        """Count further nodes among those that the rewrite stands for (provenance, removal when dead)."""
        self._matched = list(dict.fromkeys([*self._matched, *nodes]))

    def note(self, text: str) -> None:
        """Say in the journal what was gained or which numbers decided."""
        self._note = text

    def opset(self, domain: str = "") -> int:
        return self.graph.opset(domain)

    def op(
        self, op_type: str, inputs: Sequence[Value | None], attributes: Mapping[str, Attribute] | None = None, *,
        name: str = "", domain: str = "", **more: Attribute,
    ) -> Value:  # fmt: skip
        """A new node with one output, which is returned; attributes come as a mapping, by keyword, or both.

        Attributes that are None are left out.
        """
        return self.ops(op_type, inputs, 1, attributes, name=name, domain=domain, **more)[0]

    def ops(
        self, op_type: str, inputs: Sequence[Value | None], outputs: int,
        attributes: Mapping[str, Attribute] | None = None, *, name: str = "", domain: str = "", **more: Attribute,
    ) -> list[Value]:  # fmt: skip
        """A new node with several outputs, which are returned; refuses an operator that the target does not admit."""
        reason = objection(op_type, domain, self.target)
        if reason:
            self.refuse(reason)
        return self._ops(op_type, inputs, outputs, {**(attributes or {}), **more}, name, domain)

    def _ops(
        self, op_type: str, inputs: Sequence[Value | None], outputs: int, attributes: Mapping[str, Attribute],
        name: str, domain: str,
    ) -> list[Value]:  # fmt: skip
        node = Node(op_type, domain, self.graph)
        node.name = name
        node.inputs = list(inputs)
        node.trim_inputs()
        for key, attribute in attributes.items():
            if attribute is not None:
                node.set_attribute(key, attribute)
        produced = []
        for index in range(outputs):
            value = Value("", self.graph)
            value.producer, value.index = node, index
            produced.append(value)
        node.outputs = list(produced)
        self._nodes.append(node)
        infer_node(node)
        return produced

    def clone(self, node: Node, inputs: Sequence[Value | None]) -> Value:
        """A new node like `node` (same op, attributes) with one output and other inputs; it must own no bodies."""
        copy = self._ops(node.op_type, inputs, 1, node.attributes, node.name, node.domain)[0]
        producer = copy.producer
        assert producer is not None
        producer.overload = node.overload
        return copy

    def inline(
        self, body: Graph, bound: Mapping[Value, Value | None], attributes: Mapping[str, Attribute] | None = None, *,
        moved: bool = False,
    ) -> list[Value | None]:  # fmt: skip
        """Copies of all nodes of a body or function, bodies in them included; returns what its outputs become.

        Args:
            bound: what stands for the inputs; None for an input that a call omits.
            attributes: what a call binds, for a function.
            moved: the body goes away with this rewrite, so the copies keep their names and their provenance.
        """
        if body.sparse_initializers or any(value.overridable for value in body.initializers):
            self.refuse("the body has initializers that cannot be moved")
        copy = BodyCopy(self.model, dict(bound), attributes, moved)
        for value in body.initializers:
            if value.tensor is not None:
                copy.values[value] = self.tensor(value.tensor, value.name)
        for node in body:
            fresh = duplicate(node, self.graph, attributes)
            fresh.inputs = [copy.of(value) for value in node.inputs]
            for index, output in enumerate(node.outputs):
                made = None if output is None else copy.twin(output, self.graph)
                if made is not None and output is not None:
                    made.producer, made.index = fresh, index
                    self._names[made] = output.name
                fresh.outputs.append(made)
            self._nodes.append(fresh)
            self._copied[fresh] = (node, copy)
            if not node.bodies:
                infer_node(fresh)
        return [copy.of(value) for value in body.outputs]

    def constant(self, array: np.ndarray, hint: str) -> Value:
        """A new constant; `hint` is the start of its name. The array must already have the right dtype."""
        return self.tensor(Tensor.from_array(array), hint)

    def tensor(self, tensor: Tensor, hint: str, graph: Graph | None = None) -> Value:
        """A new constant from a Tensor, which may still lie undecoded in a file; `graph` may be an enclosing one."""
        value = Value(hint, graph or self.graph)
        value.tensor = tensor
        value.dtype, value.shape = tensor.dtype, tensor.shape
        self._constants.append(value)
        return value

    def stand_in(self, old: Value, tensor: Tensor) -> Value:
        """A constant that may replace `old`: where that is the output of a body or function, a node must produce it."""
        if old.is_graph_output and (old.graph.owner is not None or self.graph.in_function):
            return self.op("Constant", [], value=tensor)
        return self.tensor(tensor, old.name)

    def ints(self, numbers: Sequence[int], hint: str) -> Value:
        """A new int64 vector."""
        return self.constant(np.array(numbers, np.int64), hint)

    def is_new(self, value: Value) -> bool:
        """True if a node of this plan produces the value."""
        return value.producer in self._nodes

    def replace(self, old: Value, new: Value) -> None:
        """Let every reader of `old` read `new` instead; refuses where a graph output would lose its name."""
        if old is new:
            self.refuse("nothing would change")
        if any(isinstance(reader, Graph) and not self._drops(reader, i) for reader, i in old.uses):
            self._check_output(old, new)
            for other, target in self._replacements.items():
                if target is new and other.is_graph_output:
                    self.refuse(f"both {old.name} and {other.name} are graph outputs")
        self._replacements[old] = new

    def _drops(self, body: Graph, index: int) -> bool:
        """True if a body is planned to lose this output."""
        return any(body.owner is node and index not in kept.body_outputs for node, kept in self._narrowed)

    def _check_output(self, old: Value, new: Value) -> None:
        for reader, index in old.uses:
            if isinstance(reader, Graph) and reader is not new.graph and not self._drops(reader, index):
                self.refuse(f"output {old.name} of {reader.path or 'the graph'} must be produced inside it")
        if new.producer in self._nodes or (new in self._constants and not self.graph.in_function):
            return
        if new.producer is None or new.graph is not old.graph:
            self.refuse(f"graph output {old.name} must keep its name")
        if new.is_graph_output:
            self.refuse(f"both {old.name} and {new.name} are graph outputs")

    def set_input(self, node: Node, index: int, value: Value | None) -> None:
        """Let an existing node read `value` at `index`."""
        self._inputs.append((node, index, value))

    def set_attribute(self, node: Node, name: str, value: Attribute) -> None:
        """Change (or with None remove) an attribute of an existing node."""
        self._attributes.append((node, name, value))

    def rename(self, node: Node, hint: str) -> None:
        """Give an existing node a name that nothing else has, as close to `hint` as can be."""
        self._renamed.append((node, hint))

    def swap_bodies(self, node: Node, one: str, other: str) -> None:
        """Exchange two bodies of an existing node."""
        self._swaps.append((node, one, other))

    def narrow(self, node: Node, kept: Narrowing) -> None:
        """Let an existing node with bodies keep only some of its inputs and outputs, and its bodies of theirs."""
        self._narrowed.append((node, kept))

    def drop_output(self, node: Node, index: int) -> None:
        """Omit an output that nobody reads."""
        value = node.outputs[index]
        if value is not None and value.uses:
            self.refuse(f"output {value.name} is read")
        self._dropped.append((node, index))

    def commit(self) -> bool:
        """Apply the plan; False if the fuel does not allow it. Nothing may be planned afterwards."""
        if not self._fuel.allows(key_of(self._pass_name, self.anchor), self._journal.count):
            return False
        scope, anchor = self.graph.path, self.anchor.label
        origins = origins_of(self._matched)
        touched = self._link_new(origins)
        touched.update(self._edit_existing())
        touched.update(self._move_readers())
        for node, kept in self._narrowed:
            kept.apply(node, touched)  # last, for what dies in the bodies may be read by what was moved
        edited = list(touched)  # whose facts may change: not those of nodes that only lose a reader or a node inside
        removed = self._remove_dead(touched)
        alive, alone = [node for node in touched if node.alive], len(self._nodes) == 1  # inferred when it was made
        unsure = [n for n in edited if n.alive and (n.bodies or not alone or n not in self._nodes)]
        self._changes.record([*alive, *refresh(unsure), *owners_of(alive)])
        added = tuple((n.op, n.label) for n in self._nodes if n.alive)
        changed = tuple((n.op, n.label) for n in self._edited() if n.alive)
        rewrite = Rewrite(self._journal.count, self._pass_name, anchor, scope, removed, added, changed, self._note)
        self._journal.add_rewrite(rewrite)
        return True

    def _link_new(self, origins: tuple[str, ...]) -> dict[Node, None]:
        for value in self._constants:
            self._add_constant(value)
        taken = set(self._replacements.values())
        for node in self._nodes:
            source, copy = self._copied.get(node, (None, None))
            if copy is None or not copy.moved:
                node.name = self.model.fresh_name(node.name or self.anchor.name or self.anchor.label)
                node.origins, node.rewritten_by, node.provenance_changed = origins, self._pass_name, True
            if node.domain and not self.graph.opset(node.domain):
                opsets = self.graph.root.function_opsets
                (self.model.opsets if opsets is None else opsets)[node.domain] = node.version = 1
            self.graph.insert(node, before=self.anchor)
            for operand in node.inputs:
                if operand is not None and operand.graph is self.graph:
                    self._check_order(operand, node)
            for output in node.outputs:
                if output is not None and output not in taken:
                    hint = self._names.get(output, f"{node.name}_out")
                    output.name = self.model.fresh_name(hint) if copy is None else copy.name(hint)
            if copy is not None and source is not None:
                node.bodies = {key: copy.body(body, node) for key, body in source.bodies.items()}
        inner = [n for node in self._copied for body in node.bodies.values() for g in body.nested_graphs() for n in g]
        return dict.fromkeys([*self._nodes, *inner])

    def _add_constant(self, value: Value) -> None:
        value.name = self.model.fresh_name(value.name)
        if not self.graph.in_function:
            value.graph.initializers[value] = None
            if value.tensor is not None and self.model.ir_version < 4 and value.graph is self.model.graph:
                # Before IR version 4 every initializer has to be listed as an input, which lets nobody override it.
                value.declared = make_tensor_type_proto(value.dtype, value.tensor.shape)
                value.graph.inputs.append(value)
            return
        # A function has no initializers: its constants are nodes.
        node = Node("Constant", "", self.graph)
        assert value.tensor is not None
        node.set_attribute("value", value.tensor)
        node.name = self.model.fresh_name(value.name)
        node.outputs = [value]
        value.producer, value.tensor = node, None
        self.graph.insert(node, before=self.anchor)

    def _edit_existing(self) -> dict[Node, None]:
        touched: dict[Node, None] = {}
        for node, index, value in self._inputs:
            old = node.inputs[index] if index < len(node.inputs) else None
            if old is not None and old.producer is not None:
                touched[old.producer] = None
            while index >= len(node.inputs):
                node.inputs.append(None)
            node.set_input(index, value)
            if old is not None and old.producer is None:
                drop_unused_initializer(old)
            if value is not None and value.producer is not None:
                self._check_order(value, node)
                touched[value.producer] = None
        for node, name, attribute in self._attributes:
            node.set_attribute(name, attribute)
        for node, hint in self._renamed:
            node.name = self.model.fresh_name(hint)
        for node, one, other in self._swaps:
            node.bodies[one], node.bodies[other] = node.bodies[other], node.bodies[one]
        for node, index in self._dropped:
            node.outputs[index] = None
            while node.outputs and node.outputs[-1] is None:
                node.outputs.pop()
        for node in self._edited():
            node.trim_inputs()
            node.origins = origins_of([node, *self._matched])
            node.rewritten_by, node.provenance_changed = self._pass_name, True
            touched[node] = None
        return touched

    def _edited(self) -> list[Node]:
        edits = [n for n, _, _ in (*self._inputs, *self._attributes, *self._swaps)]
        return list(dict.fromkeys(edits + [n for n, _ in (*self._dropped, *self._narrowed, *self._renamed)]))

    def _move_readers(self) -> dict[Node, None]:
        touched: dict[Node, None] = {}
        fresh = set(self._nodes)
        for old, new in self._replacements.items():
            is_output = old.is_graph_output
            for reader, index in list(old.uses):
                if isinstance(reader, Graph):
                    reader.set_output(index, new)
                elif reader not in fresh:
                    reader.set_input(index, new)
                    self._check_order(new, reader)
                    touched[outermost_reader(reader, self.graph)] = None
                    touched[reader] = None
            self._take_over(old, new, is_output)
            if new.producer is not None:
                touched[new.producer] = None
        return touched

    def _take_over(self, old: Value, new: Value, is_output: bool) -> None:
        """Names: what is new, or becomes a graph output, is called as what it replaces."""
        if not new.name or (is_output and new.name != old.name):
            new.name, old.name = old.name, new.name or self.model.fresh_name(f"{old.name}_replaced")
            if new.declared is None or is_output:
                new.declared = old.declared
                if old in self.model.redeclared:
                    self.model.redeclared.add(new)
        if new.shape is None:
            new.shape = old.shape
        new.dtype = new.dtype or old.dtype
        if new.content is None:
            new.content = old.content

    def _check_order(self, value: Value, reader: Node) -> None:
        graph = value.graph
        if value.producer is not None and outermost_reader(reader, graph).order <= value.producer.order:
            graph.unsorted = True

    def _remove_dead(self, touched: dict[Node, None]) -> tuple[tuple[str, str], ...]:
        removed: list[tuple[str, str]] = []
        candidates = [*self._matched, *(v.producer for v in self._replacements if v.producer is not None)]
        candidates += [n for n in touched if n not in self._nodes]
        candidates += self._nodes
        for node in candidates:
            if node.alive:
                for dead in remove_if_dead(node, touched):
                    if dead.op != "Constant":
                        removed.append((dead.op, dead.label))
        for value in [*self._constants, *self._replacements]:
            drop_unused_initializer(value)
        return tuple(removed)
