"""Operators that make tensors from constants, shapes or chance, and shape queries."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import TensorProto

from .. import dtypes, symbolic
from ..graph import Node, Shape, Value
from ..tensor import Tensor
from .facts import CONTENT_LIMIT, Facts, content_of, rule, unknown_dim

_MOST_AXES = 64  # no tensor has more


@rule("Constant")
def constant(node: Node) -> Sequence[Facts]:
    tensor = node.constant_tensor()
    return () if tensor is None else (Facts(tensor.dtype, tensor.shape),)


@rule("Shape")
def shape(node: Node) -> Sequence[Facts]:
    value = node.inputs[0]
    if value is None or value.shape is None:
        return (Facts(dtypes.INT64, (unknown_dim(node, 0, 0),)),)
    rank = len(value.shape)
    start, end = node.int_attr("start", 0), node.int_attr("end", rank)
    part = value.shape[slice(max(start + rank, 0) if start < 0 else start, max(end + rank, 0) if end < 0 else end)]
    return (Facts(dtypes.INT64, (len(part),), part),)


@rule("Size")
def size(node: Node) -> Sequence[Facts]:
    value = node.inputs[0]
    if value is None or value.shape is None:
        return (Facts(dtypes.INT64, ()),)
    return (Facts(dtypes.INT64, (), (symbolic.product(value.shape),)),)


@rule("ConstantOfShape")
def constant_of_shape(node: Node) -> Sequence[Facts]:
    fill = node.attr("value")
    dtype = getattr(fill, "dtype", dtypes.FLOAT)
    result = shape_from(node, node.inputs[0])
    content = None
    if result is not None and dtype in dtypes.INTEGER | {dtypes.BOOL} and len(result) <= 1:
        count = symbolic.product(result)
        if isinstance(count, int) and 0 <= count <= CONTENT_LIMIT:
            number = int(fill.numpy().ravel()[0]) if isinstance(fill, Tensor) else 0
            content = (number,) * count
    return (Facts(dtype, result, content),)


def shape_from(node: Node, value: Value | None) -> Shape | None:
    """The shape that a shape tensor spells; unknown dimensions if only its length is known."""
    known = content_of(value)
    if known is not None:
        return known if len(known) <= _MOST_AXES else None
    rank = value.shape[0] if value is not None and value.shape is not None and len(value.shape) == 1 else None
    if isinstance(rank, int) and rank <= _MOST_AXES:
        return tuple(unknown_dim(node, 0, axis) for axis in range(rank))
    return None


@rule("Range")
def numeric_range(node: Node) -> Sequence[Facts]:
    start, limit, step = (content_of(v) for v in node.inputs)
    dtype = node.inputs[0].dtype if node.inputs[0] is not None else 0
    if start and limit and step and isinstance(step[0], int) and step[0] != 0:
        length = symbolic.ceildiv(symbolic.sub(limit[0], start[0]), step[0])
        if isinstance(length, int):
            length = max(length, 0)
            content = None
            if length <= CONTENT_LIMIT and isinstance(start[0], int):
                content = tuple(start[0] + i * step[0] for i in range(length))
            return (Facts(dtype, (length,), content),)
        if symbolic.provably_nonnegative(length):
            return (Facts(dtype, (length,)),)
    return (Facts(dtype, (unknown_dim(node, 0, 0),)),)


@rule("EyeLike", "RandomNormalLike", "RandomUniformLike", "Bernoulli")
def like(node: Node) -> Sequence[Facts]:
    value = node.inputs[0]
    if value is None:
        return ()
    return (Facts(node.int_attr("dtype", 0) or value.dtype, value.shape),)


@rule("RandomNormal", "RandomUniform")
def random(node: Node) -> Sequence[Facts]:
    return (Facts(node.int_attr("dtype", dtypes.FLOAT), node.ints_attr("shape")),)


@rule("Multinomial")
def multinomial(node: Node) -> Sequence[Facts]:
    value = node.inputs[0]
    rows = value.shape[0] if value is not None and value.shape else unknown_dim(node, 0, 0)
    return (Facts(node.int_attr("dtype", dtypes.INT32), (rows, node.int_attr("sample_size", 1))),)


@rule("OneHot")
def one_hot(node: Node) -> Sequence[Facts]:
    indices, depth, values = node.inputs
    dtype = values.dtype if values is not None else 0
    if indices is None or indices.shape is None:
        return (Facts(dtype),)
    known = content_of(depth)
    axis = node.int_attr("axis", -1)
    axis = axis + len(indices.shape) + 1 if axis < 0 else axis
    extent = known[0] if known else unknown_dim(node, 0, axis)
    return (Facts(dtype, (*indices.shape[:axis], extent, *indices.shape[axis:])),)


@rule("NonMaxSuppression")
def non_max_suppression(node: Node) -> Sequence[Facts]:
    return (Facts(dtypes.INT64, (unknown_dim(node, 0, 0), 3)),)


@rule("NonZero")
def non_zero(node: Node) -> Sequence[Facts]:
    value = node.inputs[0]
    if value is None or value.shape is None:
        return (Facts(dtypes.INT64, (unknown_dim(node, 0, 0), unknown_dim(node, 0, 1))),)
    return (Facts(dtypes.INT64, (len(value.shape), unknown_dim(node, 0, 1))),)


@rule("HannWindow", "HammingWindow", "BlackmanWindow")
def window(node: Node) -> Sequence[Facts]:
    length = content_of(node.inputs[0])
    extent = length[0] if length else unknown_dim(node, 0, 0)
    return (Facts(node.int_attr("output_datatype", TensorProto.FLOAT), (extent,)),)
