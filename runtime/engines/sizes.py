"""What a model says of its open dimensions, and what profiles say of them, brought together before a build."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import TensorShapeProto, TypeProto

from ...compiler.graph import Value
from ...compiler.model import Model
from ..interface import Dims
from .profiles import Profile

_PLACEHOLDERS = {"", "?", "-1", "None"}  # written by exporters for whatever they do not know


def fixed_sizes(model: Model, profiles: Sequence[Profile]) -> dict[str, Dims]:
    """Dimensions of inputs that the only profile leaves no choice of."""
    found: dict[str, Dims] = {}
    profile = profiles[0] if len(profiles) == 1 else Profile()
    for value in model.graph.inputs:
        dims = _declared(value)
        lowest, _, highest = profile.get(value.name, ((), (), ()))
        is_open = any(dim.WhichOneof("value") != "dim_value" or dim.dim_value < 0 for dim in dims)
        if value.tensor is None and is_open and len(dims) == len(lowest):  # else it says the values of a shape
            found[value.name] = tuple(low if low == high else "?" for low, high in zip(lowest, highest))
    return found


def forget_placeholders(model: Model) -> None:
    """Take names from dimensions of inputs that are none: equal ones would have to be of equal size in the engine."""
    for value in model.graph.inputs:
        if any(map(_is_placeholder, _declared(value))):
            assert value.declared is not None
            declared = TypeProto()
            declared.CopyFrom(value.declared)
            for dim in declared.tensor_type.shape.dim:
                if _is_placeholder(dim):
                    dim.ClearField("value")
            value.redeclare(declared)


def _declared(value: Value) -> list[TensorShapeProto.Dimension]:
    return [] if value.declared is None else list(value.declared.tensor_type.shape.dim)


def _is_placeholder(dim: TensorShapeProto.Dimension) -> bool:
    kind = dim.WhichOneof("value")
    return (kind == "dim_param" and dim.dim_param in _PLACEHOLDERS) or (kind == "dim_value" and dim.dim_value < 0)
