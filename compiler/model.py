"""A whole model: the main graph, the local functions, and everything else that the file says."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import ModelProto

from .external_data import ExternalFolder
from .graph import Graph, Node, Value
from .symbolic import Dim, Expr, symbol, symbols

FunctionKey = tuple[str, str, str]


class Model:
    """Graphs plus the fields of the ModelProto that belong to no graph (kept in `proto`, whose graph is empty).

    opsets: domain -> version, with "ai.onnx" written as "". folder: where external data lies, None if the model did
    not come from a file. output_names: the outputs that callers count on, in order. names: of all values and nodes.
    has_attached_external_data: tensors that are not initializers of a graph (attributes, parts of sparse tensors) lie
    in other files.
    """

    def __init__(self, proto: ModelProto, opsets: dict[str, int], folder: ExternalFolder | None) -> None:
        self.proto = proto
        self.opsets = opsets
        self.folder = folder
        self.has_attached_external_data = False
        self.functions: dict[FunctionKey, Graph] = {}
        self.graph: Graph
        self.output_names: list[str] = []
        self.names: set[str] = set()
        self.repeated_names: set[str] = set()  # that several values of different graphs have
        self.redeclared: set[Value] = set()  # values whose types are not those that the file states
        self.doubts: dict[tuple[Node, str], None] = {}  # what inference could make nothing of, and why
        self._next_suffix: dict[str, int] = {}
        self._symbols = 0
        self._dimension_symbols: dict[tuple[Node, int, int], Expr] = {}
        self._data_dependent: set[str] = set()

    @property
    def ir_version(self) -> int:
        return self.proto.ir_version

    def graphs(self) -> Iterator[Graph]:
        """The main graph, its bodies, then every function and its bodies."""
        yield from self.graph.nested_graphs()
        for function in self.functions.values():
            yield from function.nested_graphs()

    def nodes(self) -> Iterator[Node]:
        for graph in self.graphs():
            yield from graph

    def function_of(self, node: Node) -> Graph | None:
        """The local function that a node calls."""
        if not self.functions:
            return None
        return self.functions.get((node.domain, node.op_type, node.overload))

    def fresh_name(self, hint: str) -> str:
        """A name that no value or node of the model has, as close to `hint` as can be."""
        if hint and hint not in self.names:
            self.names.add(hint)
            return hint
        number = self._next_suffix.get(hint, 1)
        while f"{hint}_{number}" in self.names:
            number += 1
        self._next_suffix[hint] = number + 1
        name = f"{hint}_{number}"
        self.names.add(name)
        return name

    def fresh_symbol(self) -> str:
        """A name for an unknown dimension that no dim_param of the model has."""
        self._symbols += 1
        return f"?{self._symbols}"

    def dimension_symbol(self, node: Node, output: int, axis: int) -> Expr:
        """The symbol of a data-dependent dimension of a node's output; always the same one."""
        key = (node, output, axis)
        found = self._dimension_symbols.get(key)
        if found is None:
            name = self.fresh_symbol()
            self._data_dependent.add(name)
            found = self._dimension_symbols[key] = symbol(name)
        return found

    def depends_on_data(self, dim: Dim) -> bool:
        """Whether a dimension follows from more than the shapes of the inputs, as far as inference can tell."""
        return not self._data_dependent.isdisjoint(symbols(dim))

    def value_named(self, name: str) -> Value | None:
        """The value of the main graph with this name (a linear search, for options that users type)."""
        graph = self.graph
        for value in [*graph.inputs, *graph.initializers, *(v for n in graph for v in n.outputs if v is not None)]:
            if value.name == name:
                return value
        return None
