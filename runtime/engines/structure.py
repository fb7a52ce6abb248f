"""Level 3 of the proof: what an engine takes and gives, and what became of every node of the model.

No number is computed here. Names, element types and shapes of the engine's inputs and outputs must be the model's, and
every node must be found: in a kernel, in the parser's network only (the builder then folded it), or as a constant or a
view that the parser took into account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from onnx import TensorProto

from ...compiler import dtypes
from ...compiler.graph import Node, Value
from ...compiler.model import Model

ENGINE_DTYPES = {
    "Float": TensorProto.FLOAT, "Half": TensorProto.FLOAT16, "BFloat16": TensorProto.BFLOAT16,
    "Int8": TensorProto.INT8, "UInt8": TensorProto.UINT8, "Int32": TensorProto.INT32, "Int64": TensorProto.INT64,
    "Bool": TensorProto.BOOL, "FP8": TensorProto.FLOAT8E4M3FN, "Int4": TensorProto.INT4,
}  # fmt: skip
_QUANTIZED_LAYERS = {"Conv", "Gemm", "MatMul"}
_IN_KERNEL, _FOLDED, _IMPORTED, _LOST = "kernel", "folded by the builder", "read by the parser", "lost"
# What a network holds in its shapes and constants, so that no layer need name the node
WITHOUT_LAYER = frozenset({
    "Cast", "CastLike", "Constant", "ConstantOfShape", "DequantizeLinear", "Dropout", "Expand", "Flatten", "Identity",
    "If", "Loop", "Range", "Reshape", "Scan", "Shape", "Size", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip


def engine_name(node: Node) -> str:
    """The name by which the library speaks of a node; one without a name goes by its first output."""
    return node.name or f"node_of_{next((value.name for value in node.outputs if value is not None), '')}"


def fates(
    model: Model, network: Sequence[dict[str, Any]], engine: Sequence[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Node -> {op, origins, fate, kernels}: the kernels of the engine that it is in, or why it is in none.

    origins: names of the nodes of the original model that it stands for.
    """
    kernels: dict[str, list[str]] = {}
    for layer in engine:
        for name in layer["nodes"]:
            kernels.setdefault(name, []).append(layer["name"])
    parsed = {name for layer in network for name in layer["nodes"]}
    found = {}
    for node in model.nodes():
        name = engine_name(node)
        fate = _fate(node, name, kernels, parsed)
        origins = list(node.origins or (node.label,))
        found[name] = {"op": node.op, "origins": origins, "fate": fate, "kernels": kernels.get(name, [])}
    return found


def _fate(node: Node, name: str, kernels: dict[str, list[str]], parsed: set[str]) -> str:
    if name in kernels:
        return _IN_KERNEL
    if name in parsed:
        return _FOLDED
    owner = node.graph.owner
    inputs_known = all(value is None or value.constant is not None for value in node.inputs)
    return _IMPORTED if inputs_known or node.op in WITHOUT_LAYER or owner is not None else _LOST


def check_structure(
    model: Model, bindings: dict[str, tuple[str, str, list[int]]], nodes: dict[str, dict[str, Any]],
    engine: Sequence[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """{status: passed or failed, failures, findings}; a finding is worth knowing, but no mistake."""
    inputs = [value for value in model.graph.inputs if value.tensor is None]
    failures = [*_interface("Input", inputs, bindings), *_interface("Output", model.graph.outputs, bindings)]
    failures += [f"{entry['op']} {name} is in no layer" for name, entry in nodes.items() if entry["fate"] == _LOST]
    findings = list(_missed_precision(model, engine))
    return {"status": "failed" if failures else "passed", "failures": failures, "findings": findings}


def _interface(mode: str, values: Sequence[Value], bindings: dict[str, tuple[str, str, list[int]]]) -> Iterable[str]:
    bound = [name for name, (kind, _, _) in bindings.items() if kind == mode]
    expected = [value.name for value in values]
    if sorted(bound) != sorted(set(expected)):
        yield f"the engine's {mode.lower()}s are {bound}, the model's {expected}"
        return
    for value in values:
        _, dtype, shape = bindings[value.name]
        if ENGINE_DTYPES.get(dtype) != value.dtype:
            yield f"{mode.lower()} {value.name} is {dtype} in the engine, {dtypes.name_of(value.dtype)} in the model"
        if value.shape is not None and not _shapes_agree(value.shape, shape):
            yield f"{mode.lower()} {value.name} has the shape {shape} in the engine, {list(value.shape)} in the model"


def _shapes_agree(declared: Sequence[Any], bound: Sequence[int]) -> bool:
    """An open dimension may be a number in the engine, which knows more of an output than the model says."""
    return len(declared) == len(bound) and all(
        known == said if isinstance(known, int) and said >= 0 else True for known, said in zip(declared, bound)
    )


def _missed_precision(model: Model, engine: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Layers that the model quantizes, or has in half precision, and that the engine computes in float32."""
    kernels: dict[str, list[dict[str, Any]]] = {}
    for layer in engine:
        for name in layer["nodes"]:
            kernels.setdefault(name, []).append(layer)
    for node in model.nodes():
        layers = kernels.get(engine_name(node), [])
        read = {tensor["dtype"] for layer in layers for tensor in (*layer["inputs"], *layer["constants"])}
        if not layers or node.op not in _QUANTIZED_LAYERS:
            continue
        wanted = _wanted(node)
        if wanted and wanted not in read:
            yield f"{node.op} {engine_name(node)} could run in {wanted}, but reads {', '.join(sorted(read))}"


def _wanted(node: Node) -> str:
    operands = [value for value in node.inputs[:2] if value is not None]
    if len(operands) == 2 and all(_is_int8(value) for value in operands):
        return "Int8"
    return "Half" if all(value.dtype == TensorProto.FLOAT16 for value in operands) else ""


def _is_int8(value: Value) -> bool:
    producer = value.producer
    if producer is None or producer.op != "DequantizeLinear" or producer.inputs[0] is None:
        return False
    return producer.inputs[0].dtype == TensorProto.INT8
