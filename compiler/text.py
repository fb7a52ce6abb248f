"""The textual form of the IR: one line per value and node, stable from run to run, for people and for golden files.

    main(x: float[N, 3, 8, 8]) -> (y)
      w: float[4, 3, 3, 3]
      axes: int64[1] = [1]
      y: float[N, 4, 8, 8] = Conv(x, w) {pads=[1, 1, 1, 1]}

Bodies and functions are indented blocks of the same form. Constants of at most 8 elements show their elements.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import dtypes, symbolic
from .attributes import Attribute, AttributeReference, OpaqueAttribute
from .graph import Graph, Node, Value
from .model import Model
from .tensor import Tensor

_SHOWN_ELEMENTS = 8


def model_text(model: Model) -> str:
    """The whole model: opsets, main graph, functions; ends with a newline."""
    imports = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in sorted(model.opsets.items()))
    lines = [f"opset {imports}", *graph_lines(model.graph, "main")]
    for key, function in model.functions.items():
        lines += graph_lines(function, "function " + "::".join(part for part in key if part))
    return "\n".join(lines) + "\n"


def graph_lines(graph: Graph, title: str) -> Iterator[str]:
    """The lines of one graph and the bodies in it."""
    inputs = ", ".join(_declaration(value) for value in graph.inputs if value.tensor is None or value.overridable)
    outputs = ", ".join(value.name for value in graph.outputs)
    yield f"{title}({inputs}) -> ({outputs})"
    for value in graph.initializers:
        note = " (overridable)" if value.overridable else ""
        yield f"  {_declaration(value)}{_elements(value.tensor)}{note}"
    for value in graph.sparse_initializers:
        yield f"  {_declaration(value)} sparse"
    for node in graph:
        yield f"  {node_text(node)}"
        for key, body in node.bodies.items():
            yield from (f"    {line}" for line in graph_lines(body, key))


def node_text(node: Node) -> str:
    """One node: outputs with their facts, operator, inputs, attributes; its bodies left out."""
    outputs = ", ".join("_" if value is None else _declaration(value) for value in node.outputs)
    inputs = ", ".join("_" if value is None else value.name for value in node.inputs)
    shown = [f"{name}={_attribute(value)}" for name, value in sorted(node.attributes.items())]
    attributes = " {" + ", ".join(shown) + "}" if shown else ""
    return f"{outputs} = {node.op}({inputs}){attributes}"


def _declaration(value: Value) -> str:
    if not value.dtype and value.shape is None:
        return value.name
    shape = "[?]" if value.shape is None else "[" + ", ".join(symbolic.text(d) for d in value.shape) + "]"
    return f"{value.name}: {dtypes.name_of(value.dtype)}{shape if shape != '[]' else ''}"


def _elements(tensor: Tensor | None) -> str:
    if tensor is None or tensor.size > _SHOWN_ELEMENTS:
        return ""
    array = tensor.numpy()
    if tensor.dtype == dtypes.STRING:
        return f" = {array.tolist()!r}"
    exact = array.dtype.kind in "iubc"
    return " = " + _numbers(array.tolist() if exact else array.astype(np.float64).tolist())


def _numbers(nested: object) -> str:
    if isinstance(nested, list):
        return "[" + ", ".join(_numbers(item) for item in nested) + "]"
    return f"{nested:.5g}" if isinstance(nested, float) else str(nested).lower()


def _attribute(value: Attribute) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Tensor):
        return f"{dtypes.name_of(value.dtype)}{list(value.shape)}{_elements(value)}"
    if isinstance(value, AttributeReference):
        return f"@{value.proto.ref_attr_name}"
    if isinstance(value, OpaqueAttribute):
        return "..."
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_attribute(item) for item in value) + "]"
    return str(value)
