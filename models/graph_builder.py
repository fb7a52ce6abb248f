"""A small writer of ONNX graphs: nodes, weights, Constant nodes, scopes and bodies, named as exporters name them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64
BOOL = TensorProto.BOOL

Shape: TypeAlias = Sequence[int | str | None]


class GraphBuilder:
    """Builds one graph, node after node; `body` opens a subgraph that sees this graph's values.

    A node is called "scope/name", its values "scope/name_output_0", and a weight keeps the dotted name that it is
    given. A name that is taken gets a number, so a builder may leave names out.
    """

    def __init__(self, name: str, opset: int, seed: int = 0, parent: GraphBuilder | None = None) -> None:
        self.name = name
        self.opset = opset
        self.rng: np.random.Generator = parent.rng if parent else np.random.default_rng(seed)
        self._taken: set[str] = parent._taken if parent else set()
        self._scopes: list[str] = list(parent._scopes) if parent else []
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._below: dict[str, int] = {}

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Puts "name/" before the names of the nodes and "name." before those of the weights made inside."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def input(self, name: str, shape: Shape, dtype: int = FLOAT, below: int | None = None) -> str:
        """A graph input; `below` says that its integers lie in [0, below), which `sample_inputs` obeys."""
        self._taken.add(name)
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        if below is not None:
            self._below[name] = below
        return name

    def output(self, value: str, name: str, shape: Shape, dtype: int = FLOAT) -> None:
        """Declares `value` as a graph output called `name`: the value itself is renamed, as exporters do.

        From here on `value` goes by `name`; bodies that are already closed must not read it. Raises ValueError if
        no node of this graph makes it.
        """
        producer = next((node for node in self._nodes if value in node.output), None)
        if producer is None:
            raise ValueError(f"no node of graph {self.name!r} makes {value!r}, so it cannot be an output")
        producer.output[list(producer.output).index(value)] = name
        for node in self._nodes:
            for position, read in enumerate(node.input):
                if read == value:
                    node.input[position] = name
        self._outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def weight(self, name: str, array: np.ndarray | np.generic) -> str:
        """An initializer, named by the scopes and `name` with dots between them."""
        full = self._free(".".join([*self._scopes, name]))
        self._weights.append(numpy_helper.from_array(np.asarray(array), full))
        return full

    def constant(self, value: object, dtype: Any = None) -> str:
        """A Constant node; Python floats become float32 and Python ints int64, as in PyTorch's exports."""
        array = np.asarray(value, dtype=dtype)
        if dtype is None and array.dtype == np.float64:
            array = array.astype(np.float32)
        return self.op("Constant", value=numpy_helper.from_array(array))

    def op(self, op_type: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        """Appends a node with one output and returns the output's name; an input "" is an omitted one."""
        return self.ops(op_type, *inputs, outputs=1, name=name, domain=domain, **attributes)[0]

    def ops(
        self, op_type: str, *inputs: str, outputs: int, name: str = "", domain: str = "", **attributes: Any
    ) -> list[str]:
        """Appends a node with several outputs and returns their names."""
        full = self._free("/".join([*self._scopes, name or op_type]))
        produced = [f"{full}_output_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(op_type, inputs, produced, name=full, domain=domain, **attributes))
        return produced

    def body(self, name: str) -> GraphBuilder:
        """A builder for the body of an If, Loop or Scan; close it with `graph`."""
        return GraphBuilder(name, self.opset, parent=self)

    def graph(self) -> onnx.GraphProto:
        return helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, self._weights)

    def model(self, doc: str = "") -> onnx.ModelProto:
        """The finished model, at the lowest IR version that its opset allows."""
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(
            self.graph(),
            opset_imports=opsets,
            ir_version=max(7, helper.find_min_ir_version_for(opsets)),
            producer_name="planish.models",
            doc_string=doc,
        )
        helper.set_model_props(model, {f"below:{name}": str(limit) for name, limit in self._below.items()})
        return model

    def _free(self, name: str) -> str:
        candidate, number = name, 0
        while candidate in self._taken:
            number += 1
            candidate = f"{name}_{number}"
        self._taken.add(candidate)
        return candidate
