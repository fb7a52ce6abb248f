"""Changes of a model's interface that the user asks for: fewer outputs, fixed input shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from onnx import TypeProto

from ..compiler.errors import OptionError
from ..compiler.model import Model
from ..compiler.reading import declared_facts

_SHAPE = re.compile(r"^(?P<name>.+):\[?(?P<dims>[^\[\]:]*)\]?$")


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


def parse_shape(text: str) -> tuple[str, tuple[int | str, ...]]:
    """(name, dims) from "x:1,3,224,224", "x:[1,3,224,224]" or "x:1x3x224x224"; a word leaves a dimension symbolic.

    Raises:
        OptionError: the text is none of these.
    """
    match = _SHAPE.match(text)
    if match is None:
        raise OptionError(f"'{text}' is no shape", hint="write it as x:1,3,224,224")
    dims = match["dims"].strip()
    parts = re.split(r"[,x]", dims) if re.fullmatch(r"[\d,x\s]*", dims) else dims.split(",")
    words = [part.strip() for part in parts if part.strip()]
    return match["name"], tuple(int(word) if word.isdigit() else word for word in words)


def fix_shapes(model: Model, shapes: Mapping[str, Sequence[int | str]]) -> None:
    """Declare other dimensions for inputs; a dim_param that becomes a number does so in every input.

    Raises:
        OptionError: unknown input, another rank, or a conflict with a fixed dimension.
    """
    inputs = {value.name: value for value in model.graph.inputs}
    bound: dict[str, int] = {}
    for name, dims in shapes.items():
        if name not in inputs or inputs[name].declared is None:
            raise OptionError(f"the model has no input '{name}'", hint=f"its inputs: {', '.join(inputs)}")
        declared = inputs[name].declared
        assert declared is not None
        old = declared.tensor_type.shape.dim
        if len(old) != len(dims):
            raise OptionError(f"input '{name}' has {len(old)} axes, not {len(dims)}")
        fixed = TypeProto()
        fixed.CopyFrom(declared)
        for dim, wanted in zip(fixed.tensor_type.shape.dim, dims):
            if dim.dim_param and isinstance(wanted, int):
                bound[dim.dim_param] = wanted
            if isinstance(wanted, int):
                dim.dim_value = wanted
            else:
                dim.dim_param = wanted
        inputs[name].declared = fixed
    for value in [*inputs.values(), *model.graph.outputs]:
        if value.declared is None or value.declared.WhichOneof("value") != "tensor_type":
            continue
        fixed = TypeProto()
        fixed.CopyFrom(value.declared)
        for dim in fixed.tensor_type.shape.dim:
            if dim.dim_param in bound:
                dim.dim_value = bound[dim.dim_param]
        value.declared = fixed
        value.dtype, value.shape = declared_facts(fixed, model)
