"""Conversion to another version of the standard operators, which ONNX's own converter does."""

from __future__ import annotations

import math

import onnx
import onnx.inliner
import onnx.version_converter
from onnx import FunctionProto, ModelProto, helper

from ..compiler.errors import UnsupportedModelError
from ..compiler.model import Model
from ..compiler.partial_copy import copy_without
from ..compiler.reading import load
from ..compiler.writing import to_proto
from .round_trip import carry_over

STANDARD = ("", "ai.onnx")
_READ_BY_CONVERTER = 1024  # elements; shapes, axes and scales are far below


def convert_opset(model: Model, version: int) -> Model:
    """The model in the standard operators of another version.

    Raises:
        UnsupportedModelError: the converter does not know how.
    """
    original = to_proto(model)
    newest = onnx.defs.onnx_opset_version()
    if not 1 <= version <= newest:
        raise UnsupportedModelError(
            f"there is no opset {version}", hint=f"onnx {onnx.__version__} knows the opsets from 1 to {newest}"
        )
    old = model.opsets.get("")
    if old is None:
        raise UnsupportedModelError("the model uses no standard operators, so there is no opset to convert")
    light = _without_weights(original)
    if not all(_same_operators(function, version) for function in original.functions):
        inlined = onnx.inliner.inline_local_functions(light)  # the converter leaves functions as they are
        original = carry_over(original, light, inlined)
        light = inlined
    try:
        same = onnx.version_converter.convert_version(light, old)
        converted = onnx.version_converter.convert_version(light, version)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1].rpartition("failed: ")[2]
        raise UnsupportedModelError(
            f"the model cannot be converted from opset {old} to {version}: {reason}", hint="leave the opset as it is"
        ) from error
    result = carry_over(original, same, converted)
    for function in result.functions:
        for entry in function.opset_import:
            entry.version = version if entry.domain in STANDARD else entry.version
    result.ir_version = max(original.ir_version, helper.find_min_ir_version_for(list(converted.opset_import), True))
    return load(result, folder=model.folder)


def _same_operators(function: FunctionProto, version: int) -> bool:
    """Whether every standard operator of a function means the same in another opset."""
    old = next((entry.version for entry in function.opset_import if entry.domain in STANDARD), version)
    stack = [*function.node]
    while stack:
        node = stack.pop()
        if node.domain in STANDARD and _since(node.op_type, old) != _since(node.op_type, version):
            return False
        stack.extend(inner for a in node.attribute if a.HasField("g") for inner in a.g.node)
    return True


def _since(op_type: str, version: int) -> int:
    """The version that an operator of an opset has had its meaning since; 0 if there is none of this name."""
    try:
        return int(onnx.defs.get_schema(op_type, version).since_version)
    except onnx.defs.SchemaError:
        return 0


def _without_weights(original: ModelProto) -> ModelProto:
    """The model with its weights as mere inputs, because the converter serializes all that it gets."""
    light = copy_without(original, ("graph",))
    graph = light.graph
    graph.CopyFrom(copy_without(original.graph, ("initializer",)))
    listed = {info.name for info in graph.input}
    for tensor in original.graph.initializer:
        if math.prod(tensor.dims) <= _READ_BY_CONVERTER and not tensor.external_data:
            graph.initializer.append(tensor)
        elif tensor.name not in listed:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return light
