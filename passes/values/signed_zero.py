"""Whether anything can tell 0.0 from -0.0 downstream of a value."""

from __future__ import annotations

from ...compiler.graph import Graph, Node, Value

_FOLLOWED = 64  # readers that are looked at

# What gives the same for both zeros, or sums so much that the sign of a zero is a matter of rounding.
_BLIND = frozenset({
    "Exp", "Log", "Sigmoid", "Softmax", "LogSoftmax", "Softplus", "Cos", "Cosh", "Equal", "Less", "Greater",
    "LessOrEqual", "GreaterOrEqual", "IsNaN", "IsInf", "ArgMax", "ArgMin", "NonZero", "HardSigmoid", "Conv",
    "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "BatchNormalization", "LayerNormalization",
    "InstanceNormalization", "GroupNormalization", "RMSNormalization", "LpNormalization", "QuantizeLinear", "Shape",
    "Size", "Not", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "AveragePool", "GlobalAveragePool",
    "ReduceMean", "ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "CumSum",
})  # fmt: skip
# What hands a zero on with its sign.
_CARRIES = frozenset({
    "Identity", "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Clip", "Neg", "Abs", "Sqrt", "Tanh", "Sin", "Tan",
    "Asin", "Atan", "Sinh", "Erf", "Gelu", "Mish", "Swish", "HardSwish", "Softsign", "Sign", "Floor", "Ceil", "Round",
    "Add", "Sub", "Mul", "Sum", "Mean", "Max", "Min", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
    "Concat", "Split", "Slice", "Gather", "GatherND", "GatherElements", "Expand", "Tile", "Pad", "DepthToSpace",
    "SpaceToDepth", "Resize", "Upsample", "MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin", "Dropout", "Trilu",
    "ScatterND", "ScatterElements", "ThresholdedRelu", "Shrink", "TopK", "Where",
})  # fmt: skip


def reader_of_signs(value: Value) -> str:
    """What may give another result for -0.0 than for 0.0 (a divisor, a Pow, an unknown operator), as a user knows it.

    "" means that the sign of a zero in `value` shows nowhere but in the sign of a zero that is a result.
    """
    queue: list[Value] = [value]
    seen = {value}
    for current in queue:  # grows
        for reader, index in current.uses:
            label = reader.label if isinstance(reader, Node) else _label_of(reader)
            receiving = _receivers(reader, index)
            if receiving is None:
                return label
            fresh = [v for v in receiving if v is not None and v not in seen]
            seen.update(fresh)
            queue.extend(fresh)
            if len(seen) > _FOLLOWED:
                return label
    return ""


def _label_of(graph: Graph) -> str:
    return graph.owner.label if graph.owner is not None else "the function's caller"


def _receivers(reader: Node | Graph, index: int) -> list[Value | None] | None:
    """The values that a reader hands the sign of a zero on to; None if it may give another number."""
    if isinstance(reader, Graph):  # whose output the value is
        owner = reader.owner
        if owner is None:
            return None if reader.in_function else []
        return [owner.outputs[index]] if owner.op == "If" and owner.has_output(index) else None
    if reader.op in _BLIND:
        return []
    is_dividend = reader.op == "Div" and index == 0
    return list(reader.outputs) if reader.op in _CARRIES or is_dividend else None

