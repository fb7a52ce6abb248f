"""Whether anything can tell 0.0 from -0.0 downstream of a value."""

from __future__ import annotations

from ...compiler.graph import Node, Value

_FOLLOWED = 64  # readers that are looked at

# What gives the same for both zeros, or sums so much that the sign of a zero is a matter of rounding.
_BLIND = frozenset({
    "Exp", "Log", "Sigmoid", "Softmax", "LogSoftmax", "Softplus", "Cos", "Cosh", "Equal", "Less", "Greater",
    "LessOrEqual", "GreaterOrEqual", "IsNaN", "IsInf", "ArgMax", "ArgMin", "TopK", "NonZero", "HardSigmoid", "Conv",
    "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "BatchNormalization", "LayerNormalization",
    "InstanceNormalization", "GroupNormalization", "RMSNormalization", "LpNormalization", "QuantizeLinear", "Shape",
    "Size", "Not", "Where", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "AveragePool", "GlobalAveragePool",
    "ReduceMean", "ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "CumSum",
})  # fmt: skip
# What hands a zero on with its sign.
_CARRIES = frozenset({
    "Identity", "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Clip", "Neg", "Abs", "Sqrt", "Tanh", "Sin", "Tan",
    "Asin", "Atan", "Sinh", "Erf", "Gelu", "Mish", "Swish", "HardSwish", "Softsign", "Sign", "Floor", "Ceil", "Round",
    "Add", "Sub", "Mul", "Sum", "Mean", "Max", "Min", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
    "Concat", "Split", "Slice", "Gather", "GatherND", "GatherElements", "Expand", "Tile", "Pad", "DepthToSpace",
    "SpaceToDepth", "Resize", "Upsample", "MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin", "Dropout", "Trilu",
    "ScatterND", "ScatterElements", "ThresholdedRelu", "Shrink",
})  # fmt: skip


def reader_of_signs(value: Value) -> Node | None:
    """A node that may give another result for -0.0 than for 0.0 (a divisor, a Pow, an unknown operator).

    None means that the sign of a zero in `value` shows nowhere but in the sign of a zero that is a result.
    """
    queue: list[Value] = [value]
    seen = {value}
    for current in queue:  # grows
        for reader, index in current.uses:
            if not isinstance(reader, Node) or reader.op in _BLIND:
                continue
            is_dividend = reader.op == "Div" and index == 0
            if reader.op not in _CARRIES and not is_dividend:
                return reader
            fresh = [v for v in reader.outputs if v is not None and v not in seen]
            seen.update(fresh)
            queue.extend(fresh)
            if len(seen) > _FOLLOWED:
                return reader
    return None

