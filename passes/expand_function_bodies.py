"""expand-function-bodies: what TensorRT does not read becomes the operators that the standard defines it by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import onnx
from onnx import FunctionProto, ModelProto, TypeProto, helper

from ..compiler.attributes import Attribute, decode
from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.reading import load
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from ..compiler.target_operators import NOT_READ_BY_TENSORRT
from .inlining.bodies import bindings, foreign_domains
from .inlining.handing_over import hand_over


def _attention_with_more(node: Node) -> bool:
    """Attention that caps scores, gives them out, has a precision of its own, or a mask and the causal one too.

    Also one whose values have other heads than its keys, or whose mask is shorter than its keys.
    """
    masked = node.input(3) is not None and node.int_attr("is_causal", 0) != 0
    capped = node.float_attr("softcap", 0.0) != 0.0 or node.int_attr("softmax_precision", 0) != 0
    uneven = _differ(node.input(1), -1, node.input(2), -1) or _differ(node.input(1), -2, node.input(3), -1)
    return masked or capped or uneven or any(node.has_output(index) for index in (1, 2, 3))


def _differ(one: Value | None, axis: int, other: Value | None, other_axis: int) -> bool:
    """Whether two extents are known and not equal; 1 stands for any."""
    if one is None or other is None or not one.shape or not other.shape or len(one.shape) < 2:
        return False
    first, second = one.shape[axis], other.shape[other_axis]
    return isinstance(first, int) and isinstance(second, int) and first != second and second != 1


_DEFINED = frozenset({"NegativeLogLikelihoodLoss"})  # it has a body itself
_READ_IN_PART: dict[str, Callable[[Node], bool]] = {
    "Attention": _attention_with_more,
}


@dataclass(frozen=True)
class ExpandFunctionBodies(RewritePass):
    """Replace an operator that TensorRT does not read by its function body in the ONNX standard; for target tensorrt.

    Before => After
        y = SwiGLU(a, b)     =>   s = Swish(a); y = Mul(s, b)

    It holds for operators that the parser never reads, and for forms that it refuses: Attention that caps its scores,
    gives them out, has a mask besides the causal one or a shorter one than its keys, or values with other heads.

    Legal when
        The run's target is tensorrt. The standard defines the operator by a body for the model's operator set, the
        body needs no operator that TensorRT does not read either, and the types of the inputs are known where the body
        depends on them.

    Pays when
        Always: the model could not be built.

    Numerics
        As the standard defines the operator; rounding may differ.

    Source: ONNX, the operators' schemas.
    """

    name: ClassVar[str] = "expand-function-bodies"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("|".join(sorted(NOT_READ_BY_TENSORRT - {"DynamicQuantizeLinear"}))),
        *(op(name, where=form) for name, form in _READ_IN_PART.items()),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        call = match.root
        if rewriter.target != "tensorrt":
            rewriter.refuse("the operator needs expanding for the target tensorrt only")
        proto = _body(call)
        if proto is None:
            rewriter.refuse(f"the standard defines no body of {call.op}")
        body, made = _read(proto)
        used = {node.op for graph in body.nested_graphs() for node in graph}
        unread = sorted(used & NOT_READ_BY_TENSORRT - _DEFINED)
        if unread:
            rewriter.refuse(f"its body needs {', '.join(unread)}, which TensorRT does not read either")
        if foreign_domains(call.graph, body):
            rewriter.refuse("its body needs operators of a domain that the model does not import")
        given = [*call.inputs, *[None] * (len(body.inputs) - len(call.inputs))]
        attributes = {**_defaults(call.op_type, call.version), **bindings(call, body)}
        results = iter(rewriter.inline(body, dict(zip(body.inputs, given)), attributes))
        hand_over(call, [next(results) if is_made else None for is_made in made], rewriter)


def _body(call: Node) -> FunctionProto | None:
    """The function body of an operator; None if the standard has none."""
    schema: Any = onnx.defs.get_schema(call.op_type, call.version)
    opset = call.graph.opset()
    proto = FunctionProto()
    if schema.has_context_dependent_function:
        version = _newest(schema.context_dependent_function_opset_versions, opset)
        if version is None:
            return None
        node = _as_proto(call)
        types = [_type_of(value) for value in call.inputs]
        data = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
        proto.ParseFromString(data)
    elif schema.has_function:
        version = _newest(schema.function_opset_versions, opset)
        if version is None:
            return None
        proto.ParseFromString(schema.get_function_with_opset_version(version))
    return proto if proto.node else None


def _newest(versions: list[int], opset: int) -> int | None:
    return max((version for version in versions if version <= opset), default=None)


def _as_proto(call: Node) -> onnx.NodeProto:
    """The node as the schema's builder of bodies wants it."""
    if call.proto is not None and not call.changed_attributes:
        return call.proto
    names = ["" if value is None else value.name or "new" for value in call.inputs]
    outputs = ["" if value is None else value.name or "out" for value in call.outputs]
    attributes: dict[str, Any] = call.attributes
    return helper.make_node(call.op_type, names, outputs, **attributes)


def _type_of(value: Value | None) -> bytes:
    if value is None:
        return bytes(TypeProto().SerializeToString())
    if not value.dtype:
        raise Refusal(f"the type of {value.name} is not known")
    shape = None if value.shape is None else [d if isinstance(d, int) else None for d in value.shape]
    return bytes(helper.make_tensor_type_proto(value.dtype, shape).SerializeToString())


def _read(proto: FunctionProto) -> tuple[Graph, list[bool]]:
    """The body as the graph of a function, and which of the outputs it makes: not those that the call omits."""
    named = {*proto.input, *(name for node in proto.node for name in node.output)}
    made = [name in named for name in proto.output]
    kept = [name for name in proto.output if name in named]
    del proto.output[:]
    proto.output.extend(kept)
    proto.domain = proto.domain or "planish.body"
    carrier = ModelProto(ir_version=10, functions=[proto])
    carrier.opset_import.extend(proto.opset_import)
    carrier.graph.name = "carrier"
    return next(iter(load(carrier).functions.values())), made


@cache
def _defaults(op_type: str, version: int) -> dict[str, Attribute]:
    """The attributes that a call need not give."""
    schema = onnx.defs.get_schema(op_type, version)
    defaults = (attribute.default_value for attribute in schema.attributes.values())
    return {proto.name: decode(proto, None) for proto in defaults if proto.name}
