"""Sequences, optionals and strings. Facts describe tensors only, so a sequence's elements are looked up on demand."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import TypeProto

from .. import dtypes, symbolic
from ..graph import Node, Shape, Value
from ..symbolic import Dim
from .axes import axis_within, known, unknown_shape
from .facts import Facts, content_of, rule, unknown_dim
from .numeric import broadcast

_WALK = 64  # producers that are followed; long chains of SequenceInsert must not cost their square


def element_facts(reader: Node, value: Value | None, output: int) -> Facts:
    """What holds for every element of a sequence (or for what an optional holds); unknown extents get symbols of
    `reader`'s output number `output`."""
    found: list[Facts] = []
    for _ in range(_WALK):
        if value is None:
            return Facts()
        producer = value.producer
        if producer is None:
            return _join(reader, output, [*found, _declared_element(value)])
        if producer.op == "SequenceConstruct":
            return _join(reader, output, [*found, *(Facts(*known(v)) for v in producer.inputs)])
        if producer.op == "SequenceEmpty":
            return _join(reader, output, found) if found else Facts(producer.int_attr("dtype", dtypes.FLOAT))
        if producer.op == "SplitToSequence":
            return _join(reader, output, [*found, _piece(producer)])
        if producer.op == "SequenceInsert":
            found.append(Facts(*known(producer.input(1))))
        elif producer.op not in ("Identity", "SequenceErase", "Optional", "OptionalGetElement"):
            return _join(reader, output, [*found, _declared_element(value)])
        value = producer.input(0)
    return Facts()


def _declared_element(value: Value) -> Facts:
    """The element type that the file states, without symbols: each element may have other extents."""
    declared: TypeProto | None = value.declared
    while declared is not None:
        kind = declared.WhichOneof("value")
        if kind == "sequence_type":
            declared = declared.sequence_type.elem_type
        elif kind == "optional_type":
            declared = declared.optional_type.elem_type
        else:
            return Facts(declared.tensor_type.elem_type) if kind == "tensor_type" else Facts()
    return Facts()


def _piece(node: Node) -> Facts:
    """An element that SplitToSequence makes: without `split` every piece has extent 1, dropped unless keepdims."""
    dtype, shape = known(node.input(0))
    axis = None if shape is None else axis_within(node.int_attr("axis", 0), len(shape))
    if shape is None or axis is None:
        return Facts(dtype)
    split = node.input(1)
    extent: tuple[Dim, ...] = (1,)
    if split is not None:
        extent = (unknown_dim(node, 0, axis),)
    elif not node.int_attr("keepdims", 1):
        extent = ()
    return Facts(dtype, (*shape[:axis], *extent, *shape[axis + 1 :]))


def _join(reader: Node, output: int, facts: Sequence[Facts]) -> Facts:
    if not facts:
        return Facts()
    dtype = next((f.dtype for f in facts if f.dtype), 0)
    first = facts[0].shape
    if first is None or any(f.shape is None or len(f.shape) != len(first) for f in facts):
        return Facts(dtype)
    columns = [{f.shape[axis] for f in facts if f.shape is not None} for axis in range(len(first))]
    return Facts(
        dtype, tuple(c.pop() if len(c) == 1 else unknown_dim(reader, output, axis) for axis, c in enumerate(columns))
    )


@rule("SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SplitToSequence", "Optional")
def container(node: Node) -> Sequence[Facts]:
    return ()


@rule("SequenceLength")
def sequence_length(node: Node) -> Sequence[Facts]:
    value = node.input(0)
    source = None if value is None else value.producer
    count = len(source.inputs) if source is not None and source.op == "SequenceConstruct" else None
    return (Facts(dtypes.INT64, (), None if count is None else (count,)),)


@rule("OptionalHasElement")
def optional_has_element(node: Node) -> Sequence[Facts]:
    return (Facts(dtypes.BOOL, ()),)


@rule("OptionalGetElement")
def optional_get_element(node: Node) -> Sequence[Facts]:
    """Of a tensor the tensor itself (opset 18); of an optional what was put in, unless that is a sequence."""
    value = node.input(0)
    if value is not None and value.dtype and value.is_tensor:
        return (Facts(value.dtype, value.shape, content_of(value)),)
    source = None if value is None else value.producer
    if source is not None and source.op == "Optional" and source.input(0) is not None:
        held = source.input(0)
        return (Facts(*known(held)),) if held is not None and held.is_tensor else ()
    declared = None if value is None else value.declared
    if declared is not None and declared.optional_type.elem_type.HasField("tensor_type"):
        return (Facts(declared.optional_type.elem_type.tensor_type.elem_type),)
    return ()


@rule("SequenceAt")
def sequence_at(node: Node) -> Sequence[Facts]:
    """The very element where the sequence was just made from tensors, else what holds for all elements."""
    value, position = node.input(0), content_of(node.input(1))
    source = None if value is None else value.producer
    if source is not None and source.op == "SequenceConstruct" and position and isinstance(position[0], int):
        index = axis_within(position[0], len(source.inputs))
        chosen = None if index is None else source.inputs[index]
        return (Facts(*known(chosen), content_of(chosen)),)
    return (element_facts(node, value, 0),)


@rule("ConcatFromSequence")
def concat_from_sequence(node: Node) -> Sequence[Facts]:
    value = node.input(0)
    element = element_facts(node, value, 1)
    stack = bool(node.int_attr("new_axis", 0))
    if element.shape is None:
        return (Facts(element.dtype),)
    axis = axis_within(node.int_attr("axis", 0), len(element.shape) + stack)
    if axis is None:
        return (Facts(element.dtype),)
    extent = _joined_extent(node, value, axis, stack)
    rest = element.shape[axis if stack else axis + 1 :]
    return (Facts(element.dtype, (*element.shape[:axis], extent, *rest)),)


def _joined_extent(node: Node, value: Value | None, axis: int, stack: bool) -> Dim:
    source = None if value is None else value.producer
    if source is not None and source.op == "SequenceConstruct":
        if stack:
            return len(source.inputs)
        shapes = [known(v)[1] for v in source.inputs]
        if all(s is not None and axis < len(s) for s in shapes):
            return symbolic.total(s[axis] for s in shapes if s is not None)
    return unknown_dim(node, 0, axis)


@rule("StringNormalizer")
def string_normalizer(node: Node) -> Sequence[Facts]:
    """Stop words fall out of the last axis; if nothing is left, the last axis still has one element."""
    shape = known(node.input(0))[1]
    if not shape:
        return (Facts(dtypes.STRING),)
    same = not node.attr("stopwords") and symbolic.provably_positive(shape[-1])
    return (Facts(dtypes.STRING, shape if same else (*shape[:-1], unknown_dim(node, 0, len(shape) - 1))),)


@rule("StringConcat")
def string_concat(node: Node) -> Sequence[Facts]:
    return (Facts(dtypes.STRING, broadcast(node, [known(node.input(0))[1], known(node.input(1))[1]])),)


@rule("RegexFullMatch")
def regex_full_match(node: Node) -> Sequence[Facts]:
    return (Facts(dtypes.BOOL, known(node.input(0))[1]),)


@rule("StringSplit")
def string_split(node: Node) -> Sequence[Facts]:
    shape = known(node.input(0))[1]
    if shape is None:
        return (Facts(dtypes.STRING), Facts(dtypes.INT64))
    return (Facts(dtypes.STRING, (*shape, unknown_dim(node, 0, len(shape)))), Facts(dtypes.INT64, shape))


@rule("TfIdfVectorizer")
def tf_idf(node: Node) -> Sequence[Facts]:
    """The last axis becomes as long as the largest n-gram index says."""
    shape: Shape | None = known(node.input(0))[1]
    indexes = node.ints_attr("ngram_indexes")
    if shape is None or not 1 <= len(shape) <= 2 or not indexes:
        return (Facts(dtypes.FLOAT, None if not shape else unknown_shape(node, 0, len(shape))),)
    return (Facts(dtypes.FLOAT, (*shape[:-1], max(indexes) + 1)),)
