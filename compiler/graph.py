"""The IR: graphs of nodes and values in SSA form, identified by object and not by name.

A `Value` knows its producer and its readers in O(1); graph outputs are readers too, and so are nodes of a subgraph
that capture it. A `Node` keeps the NodeProto that it was read from and decodes attributes on demand, so that what
nobody touches is written back as it came. A `Graph` is a main graph, a body of If, Loop or Scan, or a local function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from onnx import FunctionProto, GraphProto, NodeProto, SparseTensorProto, TypeProto

from . import dtypes
from .attributes import Attribute, constant_of, decode_all
from .symbolic import Dim
from .tensor import Tensor
from .typed_attributes import TypedAttributes

if TYPE_CHECKING:
    from .model import Model

Shape = tuple[Dim, ...]
Reader = tuple["Node | Graph", int]
_GAP = 1 << 20


class Value:
    """One tensor (or sequence, optional, map) of a graph.

    dtype: element type, 0 if unknown. shape: one Dim per axis, None if the rank is unknown. content: the elements of a
    small integer tensor, row-major, as symbolic integers, None if unknown. tensor: the constant of an initializer that
    no caller can override. declared: the type that the file states, None if it states none.
    """

    __slots__ = ("content", "declared", "dtype", "graph", "index", "name", "overridable", "producer", "shape",
                 "tensor", "uses")  # fmt: skip

    def __init__(self, name: str, graph: Graph) -> None:
        self.name = name
        self.graph = graph
        self.producer: Node | None = None
        self.index = 0
        self.uses: dict[Reader, None] = {}
        self.dtype: int = dtypes.UNKNOWN
        self.shape: Shape | None = None
        self.content: Shape | None = None
        self.tensor: Tensor | None = None
        self.overridable = False
        self.declared: TypeProto | None = None

    def redeclare(self, declared: TypeProto) -> None:
        """State another type than the file does."""
        self.declared = declared
        self.graph.model.redeclared.add(self)

    @property
    def constant(self) -> Tensor | None:
        """The tensor that this value always is: an initializer or the output of a Constant node; else None."""
        if self.overridable:
            return None
        if self.tensor is None and self.producer is not None and self.producer.op == "Constant":
            return self.producer.constant_tensor()
        return self.tensor

    @property
    def rank(self) -> int | None:
        return None if self.shape is None else len(self.shape)

    @property
    def is_graph_output(self) -> bool:
        for reader, _ in self.uses:  # noqa: SIM110  (asked so often that a generator would show)
            if isinstance(reader, Graph):
                return True
        return False

    @property
    def is_graph_input(self) -> bool:
        if self.producer is not None:
            return False
        return self.overridable or (self.tensor is None and self not in self.graph.sparse_initializers)

    @property
    def readers(self) -> list[Node]:
        """Nodes that read this value, in this graph and in subgraphs, once per input that reads it."""
        return [reader for reader, _ in self.uses if isinstance(reader, Node)]

    @property
    def sole_reader(self) -> Node | None:
        """The node that is the only use of this value; None if there is none, several, or a graph output."""
        if len(self.uses) != 1:
            return None
        reader = next(iter(self.uses))[0]
        return reader if isinstance(reader, Node) else None

    @property
    def is_tensor(self) -> bool:
        """False only when the value is known to be a sequence, map, optional or sparse tensor."""
        return self.declared is None or self.declared.WhichOneof("value") in ("tensor_type", None)

    def __repr__(self) -> str:
        return f"%{self.name}"


class Node(TypedAttributes):
    """One operation. `op` is the type with its domain ("Conv", "com.microsoft::Gelu")."""

    __slots__ = ("_attributes", "_constant", "alive", "bodies", "changed_attributes", "domain", "graph", "inputs",
                 "name", "next", "op", "op_type", "order", "origins", "outputs", "overload", "previous", "proto",
                 "provenance_changed", "rewritten_by", "version")  # fmt: skip

    def __init__(self, op_type: str, domain: str, graph: Graph, proto: NodeProto | None = None) -> None:
        self.op_type = op_type
        self.domain = "" if domain == "ai.onnx" else domain
        self.graph = graph
        self.version = graph.opset(self.domain)
        self.op = op_type if not self.domain else f"{self.domain}::{op_type}"
        if not self.domain and not self.version:  # nothing says which version of the operator it is
            self.leave_alone()
        self.proto = proto
        self.name = proto.name if proto is not None else ""
        self.overload = proto.overload if proto is not None else ""
        self.inputs: list[Value | None] = []
        self.outputs: list[Value | None] = []
        self.bodies: dict[str, Graph] = {}
        self.order = 0
        self.alive = True
        self.previous: Node | None = None
        self.next: Node | None = None
        self.origins: tuple[str, ...] = ()
        self.rewritten_by = ""
        self.provenance_changed = False
        self._attributes: dict[str, Attribute] | None = None if proto is not None else {}
        self.changed_attributes: set[str] | None = None
        self._constant: Tensor | None = None

    @property
    def label(self) -> str:
        """What to call the node in a message: its name, or its first output's."""
        return self.name or next((v.name for v in self.outputs if v is not None), self.op)

    @property
    def attributes(self) -> dict[str, Attribute]:
        """Decoded attributes without graphs (see `bodies`). Change them with `set_attribute` only."""
        if self._attributes is None:
            assert self.proto is not None
            self._attributes = decode_all(self.proto, self.graph.model.folder, self.label)
        return self._attributes

    def set_attribute(self, name: str, value: Attribute) -> None:
        """Set an attribute; None removes it."""
        if value is None:
            self.attributes.pop(name, None)
        else:
            self.attributes[name] = value
        if self.changed_attributes is None:
            self.changed_attributes = set()
        self.changed_attributes.add(name)

    def copy_attributes(self, other: Node) -> None:
        """Take over the attributes of a node with the same proto; those that nobody decoded stay undecoded."""
        self._attributes = None if other._attributes is None else dict(other._attributes)
        self.changed_attributes = None if other.changed_attributes is None else set(other.changed_attributes)

    def constant_tensor(self) -> Tensor | None:
        """The tensor of a Constant node, None when it holds a sparse tensor or a function's parameter."""
        if self._constant is None:
            self._constant = constant_of(self.attributes)
        return self._constant

    def input(self, index: int) -> Value | None:
        """The input, None if omitted or beyond the end."""
        return self.inputs[index] if index < len(self.inputs) else None

    def has_output(self, index: int) -> bool:
        return index < len(self.outputs) and self.outputs[index] is not None

    @property
    def output(self) -> Value:
        """The first output."""
        first = self.outputs[0]
        assert first is not None, f"{self.label} omits its first output"
        return first

    def leave_alone(self) -> None:
        """Let no rule and no pattern recognize this node, because it is not clear what it does."""
        self.op = f"{self.domain}::{self.op_type}"

    @property
    def is_left_alone(self) -> bool:
        return self.op.startswith("::")

    def captured(self) -> Iterator[Value]:
        """Values of enclosing graphs that the bodies of this node read (each once)."""
        seen: set[Value] = set()
        for body in self.bodies.values():
            inside = set(body.nested_graphs())
            for graph in inside:
                values = [v for node in graph for v in node.inputs] + graph.outputs
                for value in values:
                    if value is not None and value.graph not in inside and value not in seen:
                        seen.add(value)
                        yield value

    def set_input(self, index: int, value: Value | None) -> None:
        old = self.inputs[index]
        if old is not None:
            old.uses.pop((self, index), None)
        self.inputs[index] = value
        if value is not None:
            value.uses[(self, index)] = None

    def set_inputs(self, values: Sequence[Value | None]) -> None:
        """Read these values and no others."""
        for index, old in enumerate(self.inputs):
            if old is not None:
                old.uses.pop((self, index), None)
        self.inputs = list(values)
        for index, value in enumerate(self.inputs):
            if value is not None:
                value.uses[(self, index)] = None

    def trim_inputs(self) -> None:
        """Drop omitted inputs at the end of the list."""
        while self.inputs and self.inputs[-1] is None:
            self.inputs.pop()

    def __repr__(self) -> str:
        return f"<{self.op} {self.label}>"


class Graph:
    """A main graph, a body, or a function; iterating it gives its nodes in order."""

    def __init__(self, model: Model, name: str, owner: Node | None = None, proto: GraphProto | None = None) -> None:
        self.model = model
        self.name = name
        self.owner = owner
        self.proto = proto
        self.function_opsets: dict[str, int] | None = None
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.initializers: dict[Value, None] = {}
        self.sparse_initializers: dict[Value, SparseTensorProto] = {}
        self.function_proto: FunctionProto | None = None
        self.first: Node | None = None
        self.last: Node | None = None
        self.count = 0
        self.unsorted = False
        self.annotating: set[str] = set()  # initializers that quantization annotations name
        self.strays: set[str] = set()  # names in value_info and annotations that no value of the file's graph has

    def opset(self, domain: str = "") -> int:
        """Version of the operator set that is in force here; 0 if the model does not import it."""
        if self.function_opsets is not None:
            return self.function_opsets.get(domain, 0)
        if self.owner is not None:
            return self.owner.graph.opset(domain)
        return self.model.opsets.get(domain, 0)

    @property
    def root(self) -> Graph:
        """The main graph or function that this graph lies in."""
        graph = self
        while graph.owner is not None:
            graph = graph.owner.graph
        return graph

    @property
    def in_function(self) -> bool:
        return self.root.function_opsets is not None

    @property
    def path(self) -> str:
        """Where the graph lies: "" for the main graph, "if_3/then_branch" for a body, "fn:domain::Name"."""
        if self.owner is None:
            return f"fn:{self.name}" if self.function_opsets is not None else ""
        key = next(k for k, body in self.owner.bodies.items() if body is self)
        outer = self.owner.graph.path
        return f"{outer}/{self.owner.label}/{key}" if outer else f"{self.owner.label}/{key}"

    def __iter__(self) -> Iterator[Node]:
        node = self.first
        while node is not None:
            following = node.next
            yield node
            node = following

    def __len__(self) -> int:
        return self.count

    def encloses(self, other: Graph) -> bool:
        """True if `other` is this graph or lies in it, so that values here are visible there."""
        graph: Graph | None = other
        while graph is not None:
            if graph is self:
                return True
            graph = graph.owner.graph if graph.owner is not None else None
        return False

    def nested_graphs(self) -> Iterator[Graph]:
        """This graph and all bodies in it, outermost first."""
        yield self
        for node in self:
            for body in node.bodies.values():
                yield from body.nested_graphs()

    def insert(self, node: Node, before: Node | None = None) -> None:
        """Link a node into the order, before another node or at the end, and register what it reads."""
        previous = before.previous if before is not None else self.last
        node.graph, node.previous, node.next = self, previous, before
        if previous is None:
            self.first = node
        else:
            previous.next = node
        if before is None:
            self.last = node
            node.order = (previous.order if previous else 0) + _GAP
        else:
            before.previous = node
            node.order = ((previous.order if previous else before.order - 2 * _GAP) + before.order) // 2
            if node.order == before.order or (previous and node.order == previous.order):
                self.renumber()
        self.count += 1
        for index, value in enumerate(node.inputs):
            if value is not None:
                value.uses[(node, index)] = None

    def renumber(self) -> None:
        for position, node in enumerate(self):
            node.order = (position + 1) * _GAP

    def unlink(self, node: Node) -> None:
        """Take a node out of the order; its inputs and bodies stop being uses. Its outputs must have no readers."""
        if node.previous is None:
            self.first = node.next
        else:
            node.previous.next = node.next
        if node.next is None:
            self.last = node.previous
        else:
            node.next.previous = node.previous
        self.count -= 1
        node.alive = False
        for index, value in enumerate(node.inputs):
            if value is not None:
                value.uses.pop((node, index), None)
        for body in node.bodies.values():
            for inner in body:
                inner.graph.unlink(inner)
            for index, value in enumerate(body.outputs):
                value.uses.pop((body, index), None)

    def set_outputs(self, values: Sequence[Value]) -> None:
        for index, value in enumerate(self.outputs):
            value.uses.pop((self, index), None)
        self.outputs = list(values)
        for index, value in enumerate(self.outputs):
            value.uses[(self, index)] = None

    def set_output(self, index: int, value: Value) -> None:
        self.outputs[index].uses.pop((self, index), None)
        self.outputs[index] = value
        value.uses[(self, index)] = None

    def add_initializer(self, name: str, tensor: Tensor) -> Value:
        """A new constant of this graph. `name` must be fresh (`Model.fresh_name`)."""
        value = Value(name, self)
        value.tensor = tensor
        value.dtype, value.shape = tensor.dtype, tensor.shape
        self.initializers[value] = None
        return value

    def __repr__(self) -> str:
        return f"<Graph {self.path or self.name}: {self.count} nodes>"
