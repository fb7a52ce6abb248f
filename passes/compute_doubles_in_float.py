"""compute-doubles-in-float: what TensorRT computes in float32 anyway is said in float32."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import onnx
from onnx import TensorProto

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import Context, RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter

_DOUBLE, _FLOAT = int(TensorProto.DOUBLE), int(TensorProto.FLOAT)
_NUMBERS = dtypes.INTEGER | {dtypes.FLOAT, dtypes.FLOAT16, dtypes.BFLOAT16, dtypes.BOOL}


@cache
def _admitting() -> dict[str, int]:
    """Operators that take float32 wherever they take float64, with one output and no type as an attribute."""
    found = {}
    for schema in onnx.defs.get_all_schemas():
        constraints = {c.type_param_str: set(c.allowed_type_strs) for c in schema.type_constraints}
        wide = [allowed for allowed in constraints.values() if "tensor(double)" in allowed]
        named_types = {"to", "dtype", "value", "body", "then_branch", "else_branch"} & set(schema.attributes)
        single = schema.min_output == schema.max_output == 1
        if not schema.domain and single and wide and not named_types and all("tensor(float)" in w for w in wide):
            found[schema.name] = schema.since_version
    return found


@dataclass(frozen=True)
class ComputeDoublesInFloat(RewritePass):
    """Compute in float32 what is cast to float64 for the computation only; for target tensorrt.

    Before => After
        y = Exp(Cast(x: float, double))             =>   y = Cast(Exp(x), double)
        y = Add(Cast(x: float, double), c: double)  =>   y = Cast(Add(x, c: float), double)

    The Casts move on until they meet a Cast back, and go. TensorRT has no float64: it computes all of this in float32,
    without a message. Said in the model it is part of what is compared with the original.

    Legal when
        The run's target is tensorrt. Every float64 operand is a Cast of something else or a constant whose numbers
        float32 holds, the operator takes float32 in the same places, and it has one output and no bodies.

    Pays when
        Always: the model is computed like this anyway, or refused.

    Numerics
        Rounded to float32 after every operator instead of float64: 24 digits instead of 53. The comparison with the
        original says what that means for the outputs; where it is too much the model is refused.
    """

    name: ClassVar[str] = "compute-doubles-in-float"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("|".join(sorted(_admitting())), where=lambda node: _reads(node)),)

    def run(self, context: Context, since: int) -> None:
        if context.target == "tensorrt":
            super().run(context, since)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        if not any(_is_cast(value) for value in node.inputs):
            rewriter.refuse("none of its operands is a Cast from another type")
        operands = [_narrowed(value, rewriter) for value in node.inputs]
        result = rewriter.clone(node, operands)
        if node.output.dtype == _DOUBLE:
            result = rewriter.op("Cast", [result], to=_DOUBLE)
        rewriter.replace(node.output, result)


def _reads(node: Node) -> bool:
    return any(value is not None and value.dtype == _DOUBLE for value in node.inputs)


def _is_cast(value: Value | None) -> bool:
    if value is None or value.dtype != _DOUBLE or value.producer is None or value.producer.op != "Cast":
        return False
    source = value.producer.inputs[0]
    return source is not None and source.dtype in _NUMBERS


def _narrowed(value: Value | None, rewriter: Rewriter) -> Value | None:
    """An operand in float32."""
    if value is None or value.dtype != _DOUBLE:
        return value
    if value.constant is not None:
        numbers = value.constant.numpy()
        with np.errstate(over="ignore"):
            narrow = numbers.astype(np.float32)
        if np.isinf(narrow[np.isfinite(numbers)]).any():
            rewriter.refuse(f"float32 does not hold the numbers of {value.name}")
        return rewriter.constant(narrow, value.name)
    if not _is_cast(value):
        rewriter.refuse(f"{value.name} is float64 by itself")
    assert value.producer is not None
    source = value.producer.inputs[0]
    assert source is not None
    return source if source.dtype == _FLOAT else rewriter.op("Cast", [source], to=_FLOAT)
