"""Which operators a rewrite may bring in, by the target of the run."""

from __future__ import annotations

CONTRIB = "com.microsoft"

# Operators of ONNX none of whose test cases TensorRT's parser reads (tried with TensorRT-RTX 1.7 on the cases of the
# onnx package). Those that it maps to a plugin of the full TensorRT are not among them.
NOT_READ_BY_TENSORRT = frozenset({
    "Adagrad", "Adam", "AffineGrid", "ArrayFeatureExtractor", "Bernoulli", "BitCast", "BitShift", "BitwiseAnd",
    "BitwiseNot", "BitwiseOr", "BitwiseXor", "CausalConvWithState", "CenterCropPad", "Col2Im", "Compress",
    "ConvInteger", "CumProd", "DFT", "Det", "DynamicQuantizeLinear", "ImageDecoder", "LinearAttention", "MatMulInteger",
    "MaxUnpool", "MelWeightMatrix", "Momentum", "NegativeLogLikelihoodLoss", "OptionalGetElement", "OptionalHasElement",
    "QLinearConv", "QLinearMatMul", "RegexFullMatch", "SequenceInsert", "SequenceMap", "SoftmaxCrossEntropyLoss",
    "SplitToSequence", "StringConcat", "StringNormalizer", "StringSplit", "SwiGLU", "TfIdfVectorizer", "Unique",
})  # fmt: skip


def objection(op_type: str, domain: str, target: str) -> str:
    """Why a new node of this operator would not do for the target; "" if it would."""
    if domain == CONTRIB and target != "ort":
        return f"{op_type} of ONNX Runtime is used with the target ort only"
    if target == "tensorrt" and not domain and op_type in NOT_READ_BY_TENSORRT:
        return f"TensorRT does not read {op_type}"
    return ""
