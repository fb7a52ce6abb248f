"""Changes of a model's interface that the user asks for: fewer outputs, fixed input shapes, frozen weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from onnx import TensorShapeProto, TypeProto

from ..compiler.declarations import declared_facts
from ..compiler.errors import OptionError
from ..compiler.graph import Value
from ..compiler.model import Model

Dims: TypeAlias = tuple[int | str, ...]

_SHAPE = re.compile(r"(?P<name>.+):\s*(?P<open>\[?)(?P<dims>[^\[\]:]*)(?P<close>\]?)\s*")
AS_DECLARED = ("?", "-1")


def drop_outputs(model: Model, keep: Sequence[str], drop: Sequence[str]) -> None:
    """Leave only the outputs in `keep` (all if empty) that are not in `drop`.

    Raises:
        OptionError: a name is no output, or nothing would be left.
    """
    names = [value.name for value in model.graph.outputs]
    for name in (*keep, *drop):
        if name not in names:
            raise OptionError(f"the model has no output '{name}'", hint=f"its outputs: {', '.join(names)}")
    kept = [v for v in model.graph.outputs if (not keep or v.name in keep) and v.name not in drop]
    if not kept:
        raise OptionError("no output would be left")
    model.graph.set_outputs(kept)
    model.output_names = [value.name for value in kept]


def freeze_weights(model: Model) -> None:
    """Weights that are listed as inputs too become constants, and the listing goes."""
    for value in list(model.graph.initializers):
        if value.overridable and value in model.graph.inputs:
            value.overridable = False
            value.shape = value.tensor.shape if value.tensor is not None else value.shape
            model.graph.inputs.remove(value)


def parse_shape(text: str) -> tuple[str, Dims]:
    """(name, dims) from "x:1,3,224,224", "x:[1,3,224,224]" or "x:1x3x224x224".

    A word names a symbolic dimension; "?" and "-1" leave a dimension as the model declares it.

    Raises:
        OptionError: the text is none of these.
    """
    match = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if match is None or bool(match["open"]) != bool(match["close"]):
        raise OptionError(f"'{text}' is no shape", hint="write it as x:1,3,224,224")
    dims = match["dims"].strip()
    words = re.split("x", dims) if re.fullmatch(r"-?\d+(\s*x\s*-?\d+)+", dims) else dims.split(",")
    words = [word.strip() for word in words] if dims else []
    if not all(re.fullmatch(r"\d+|-1|\?|[A-Za-z_]\w*", word) for word in words):
        raise OptionError(f"'{text}' is no shape", hint="a dimension is a number, a name, or ? to leave it")
    return match["name"], tuple(int(word) if word.isdigit() else word for word in words)


def fix_shapes(model: Model, shapes: Mapping[str, Dims]) -> None:
    """Declare other dimensions for inputs; a dim_param that is given another name or a number has it everywhere.

    Raises:
        OptionError: unknown input, another rank, or a conflict with a number that the model or another input says.
    """
    inputs = {value.name: value for value in model.graph.inputs}
    bound: dict[str, int | str] = {}
    for name, dims in shapes.items():
        value = inputs.get(name)
        if value is None or value.declared is None or value.declared.WhichOneof("value") != "tensor_type":
            raise OptionError(f"the model has no tensor input '{name}'", hint=f"its inputs: {', '.join(inputs)}")
        fixed = TypeProto()
        fixed.CopyFrom(value.declared)
        _fix(name, fixed.tensor_type, dims, bound)
        value.redeclare(fixed)
        value.dtype, value.shape = declared_facts(fixed, model)
    for graph in model.graph.nested_graphs():
        for value in [*graph.inputs, *(v for node in graph for v in node.outputs if v is not None)]:
            _bind(value, bound)


def _fix(name: str, declared: TypeProto.Tensor, dims: Dims, bound: dict[str, int | str]) -> None:
    if not declared.HasField("shape"):
        declared.shape.dim.extend(TensorShapeProto.Dimension() for _ in dims)
    old = declared.shape.dim
    if len(old) != len(dims):
        raise OptionError(f"input '{name}' has {len(old)} axes, not {len(dims)}")
    for axis, (dim, wanted) in enumerate(zip(old, dims)):
        if wanted in AS_DECLARED:
            continue
        if dim.HasField("dim_value") and dim.dim_value != wanted and dim.dim_value >= 0:
            raise OptionError(
                f"axis {axis} of input '{name}' is {dim.dim_value} in the model, so it cannot be {wanted}",
                hint="only dimensions that the model leaves open can be set",
            )
        named = dim.dim_param and dim.dim_param not in AS_DECLARED  # exporters call all that they do not know "?"
        if named and bound.setdefault(dim.dim_param, wanted) != wanted:
            taken = bound[dim.dim_param]
            raise OptionError(f"axis {axis} of input '{name}' cannot be {wanted}: '{dim.dim_param}' is {taken} already")
        _set(dim, wanted)


def _set(dim: TensorShapeProto.Dimension, wanted: int | str) -> None:
    if isinstance(wanted, int):
        dim.dim_value = wanted
    else:
        dim.dim_param = wanted


def _bind(value: Value, bound: Mapping[str, int | str]) -> None:
    declared = value.declared
    if declared is None or not any(dim.dim_param in bound for dim in _dims(declared)):
        return
    fixed = TypeProto()
    fixed.CopyFrom(declared)
    for dim in _dims(fixed):
        if dim.dim_param in bound:
            _set(dim, bound[dim.dim_param])
    value.redeclare(fixed)
    value.dtype, value.shape = declared_facts(fixed, value.graph.model)


def _dims(declared: TypeProto) -> Iterable[TensorShapeProto.Dimension]:
    kind = declared.WhichOneof("value")
    if kind == "sequence_type":
        return _dims(declared.sequence_type.elem_type)
    if kind == "optional_type":
        return _dims(declared.optional_type.elem_type)
    return declared.tensor_type.shape.dim if kind == "tensor_type" else ()
