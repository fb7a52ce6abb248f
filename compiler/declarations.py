"""What a file declares of values: their types, with named and unnamed dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TypeProto, ValueInfoProto

from . import dtypes, symbolic

if TYPE_CHECKING:
    from .graph import Value
    from .model import Model

_NAMELESS = {"?", "-1", "None", "none", "null", "unk", "unknown"}  # written for every dimension that is not known
_LONGEST_EXPRESSION = 200


def declare(value: Value, info: ValueInfoProto) -> None:
    """Note on a value the type that the file states, and the facts that follow."""
    if info.HasField("type"):
        value.declared = info.type
        if value.tensor is None:
            value.dtype, value.shape = declared_facts(info.type, value.graph.model)


def declared_facts(declared: TypeProto, model: Model) -> tuple[int, tuple[symbolic.Dim, ...] | None]:
    """(dtype, shape) of a tensor type; an unnamed dimension becomes a fresh symbol."""
    if declared.WhichOneof("value") != "tensor_type":
        return dtypes.UNKNOWN, None
    tensor = declared.tensor_type
    if not tensor.HasField("shape"):
        return tensor.elem_type, None
    dims: list[symbolic.Dim] = []
    for dim in tensor.shape.dim:
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            dims.append(dim.dim_value)
        else:
            dims.append(_dimension(dim.dim_param, model))
    return tensor.elem_type, tuple(dims)


def _dimension(name: str, model: Model) -> symbolic.Dim:
    if not name or name in _NAMELESS or not isinstance(name, str):  # bytes: a text that is not UTF-8
        return symbolic.symbol(model.fresh_symbol())
    if name.isidentifier():
        return symbolic.symbol(name)
    # A number is the name of a dimension, not its extent, and "?1" not one of the symbols made here.
    if name[0] in "?-0123456789" or len(name) > _LONGEST_EXPRESSION:
        return symbolic.symbol(f"dim:{name}")
    return symbolic.parse(name)


def contradicts(declared: TypeProto, value: Value) -> bool:
    """Whether a stated type cannot be that of a value whose facts are known."""
    if declared.WhichOneof("value") != "tensor_type" or not value.is_tensor:
        return False
    tensor = declared.tensor_type
    if tensor.elem_type and value.dtype and tensor.elem_type != value.dtype:
        return True
    if value.shape is None or not tensor.HasField("shape"):
        return False
    stated = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    if len(stated) != len(value.shape):
        return True
    return any(isinstance(known, int) and d is not None and d != known for d, known in zip(stated, value.shape))
