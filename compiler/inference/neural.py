"""Matrix products, normalization and losses."""

from __future__ import annotations

from collections.abc import Sequence

from .. import dtypes, symbolic
from ..graph import Node, Shape
from .axes import axis_within, known, unknown_shape
from .facts import Facts, rule, unknown_dim
from .numeric import broadcast


@rule("MatMul", "com.microsoft::DynamicQuantizeMatMul")
def matmul(node: Node) -> Sequence[Facts]:
    dtype, a = known(node.input(0))
    other, b = known(node.input(1))
    return (Facts(dtype if node.domain else dtype or other, matmul_shape(node, a, b)),)


def matmul_shape(node: Node, a: Shape | None, b: Shape | None) -> Shape | None:
    """numpy.matmul's rule: a vector on either side loses its axis, the axes in front broadcast."""
    if not a or not b:
        return None
    if len(a) == 2 and len(b) == 2:
        return (a[0], b[1])
    batch = broadcast(node, [a[:-2], b[:-2]])
    if batch is None:
        return None
    rows = () if len(a) == 1 else (a[-2],)
    columns = () if len(b) == 1 else (b[-1],)
    return (*batch, *rows, *columns)


@rule("MatMulInteger")
def integer_matmul(node: Node) -> Sequence[Facts]:
    return (Facts(dtypes.INT32, matmul_shape(node, known(node.input(0))[1], known(node.input(1))[1])),)


@rule("com.microsoft::MatMulIntegerToFloat")
def integer_matmul_to_float(node: Node) -> Sequence[Facts]:
    shape = matmul_shape(node, known(node.input(0))[1], known(node.input(1))[1])
    return (Facts(known(node.input(2))[0], shape),)


@rule("QLinearMatMul")
def quantized_matmul(node: Node) -> Sequence[Facts]:
    shape = matmul_shape(node, known(node.input(0))[1], known(node.input(3))[1])
    return (Facts(known(node.input(7))[0], shape),)


@rule("Gemm", "com.microsoft::FusedGemm")
def gemm(node: Node) -> Sequence[Facts]:
    dtype, a = known(node.input(0))
    _, b = known(node.input(1))
    return (Facts(dtype, _gemm_shape(node, a, b)),)


def _gemm_shape(node: Node, a: Shape | None, b: Shape | None) -> Shape:
    rows = columns = None
    if a is not None and len(a) == 2:
        rows = a[1 if node.attr("transA", 0) else 0]
    if b is not None and len(b) == 2:
        columns = b[0 if node.attr("transB", 0) else 1]
    return (
        unknown_dim(node, 0, 0) if rows is None else rows,
        unknown_dim(node, 0, 1) if columns is None else columns,
    )


@rule("com.microsoft::QGemm")
def quantized_gemm(node: Node) -> Sequence[Facts]:
    dtype = known(node.input(8))[0] if node.input(8) is not None else dtypes.FLOAT
    return (Facts(dtype, _gemm_shape(node, known(node.input(0))[1], known(node.input(3))[1])),)


@rule("BatchNormalization")
def batch_norm(node: Node) -> Sequence[Facts]:
    """Before opset 14 there are four statistics outputs of X's type, since then two of the type of input_mean."""
    dtype, shape = known(node.input(0))
    mean_dtype, mean_shape = known(node.input(3))
    statistic = Facts(mean_dtype if node.version >= 14 else dtype, mean_shape)
    return (Facts(dtype, shape), *(statistic,) * (len(node.outputs) - 1))


@rule("LayerNormalization", "com.microsoft::LayerNormalization", "SimplifiedLayerNormalization")
def layer_norm(node: Node) -> Sequence[Facts]:
    """Mean and InvStdDev keep the axes in front of `axis`; SimplifiedLayerNormalization has no Mean."""
    dtype, shape = known(node.input(0))
    if len(node.outputs) == 1:
        return (Facts(dtype, shape),)
    statistic = None
    if shape is not None:
        axis = axis_within(node.int_attr("axis", -1), len(shape))
        statistic = None if axis is None else (*shape[:axis], *(1,) * (len(shape) - axis))
    # ONNX Runtime computes the statistics of double inputs in double, whatever stash_type says.
    stash = node.int_attr("stash_type", dtypes.FLOAT) if dtype not in (dtypes.UNKNOWN, dtypes.DOUBLE) else 0
    return (Facts(dtype, shape), Facts(stash, statistic), Facts(stash, statistic))


@rule("RMSNormalization")
def rms_norm(node: Node) -> Sequence[Facts]:
    """The output has the type of the scale."""
    return (Facts(known(node.input(1))[0], known(node.input(0))[1]),)


@rule(
    "InstanceNormalization", "GroupNormalization", "LpNormalization", "LRN", "MeanVarianceNormalization", "Softmax",
    "LogSoftmax", "Hardmax", "RotaryEmbedding", "SwiGLU", "com.microsoft::RotaryEmbedding", "com.microsoft::BiasGelu",
    "com.microsoft::Gelu", "com.microsoft::FastGelu", "com.microsoft::QuickGelu",
)  # fmt: skip
def like_input(node: Node) -> Sequence[Facts]:
    return (Facts(*known(node.input(0))),)


@rule("com.microsoft::SkipLayerNormalization", "com.microsoft::SkipSimplifiedLayerNormalization")
def skip_layer_norm(node: Node) -> Sequence[Facts]:
    """Outputs: result, mean, inverse deviation, and the sum that was normalized."""
    dtype, shape = known(node.input(0))
    return (Facts(dtype, shape), Facts(), Facts(), Facts(dtype, shape))


@rule("com.microsoft::FusedMatMul", "com.microsoft::TransposeMatMul")
def fused_matmul(node: Node) -> Sequence[Facts]:
    dtype, a = known(node.input(0))
    _, b = known(node.input(1))
    if node.attr("transBatchA", 0) or node.attr("transBatchB", 0) or not a or not b or len(a) < 2 or len(b) < 2:
        return (Facts(dtype),)
    if node.attr("transA", 0):
        a = (*a[:-2], a[-1], a[-2])
    if node.attr("transB", 0):
        b = (*b[:-2], b[-1], b[-2])
    return (Facts(dtype, matmul_shape(node, a, b)),)


@rule("com.microsoft::MatMulNBits", "com.microsoft::MatMulBnb4", "com.microsoft::MatMulFpQ4")
def matmul_nbits(node: Node) -> Sequence[Facts]:
    dtype, shape = known(node.input(0))
    columns = node.int_attr("N", 0)
    return (Facts(dtype, (*shape[:-1], columns) if shape and columns > 0 else None),)


@rule("SoftmaxCrossEntropyLoss")
def cross_entropy(node: Node) -> Sequence[Facts]:
    dtype, scores = known(node.input(0))
    return (Facts(dtype, _loss_shape(node)), Facts(dtype, scores))


@rule("NegativeLogLikelihoodLoss")
def negative_log_likelihood(node: Node) -> Sequence[Facts]:
    return (Facts(known(node.input(0))[0], _loss_shape(node)),)


def _loss_shape(node: Node) -> Shape | None:
    return known(node.input(1))[1] if node.str_attr("reduction", "mean") == "none" else ()


@rule("Det")
def determinant(node: Node) -> Sequence[Facts]:
    dtype, shape = known(node.input(0))
    return (Facts(dtype, None if shape is None or len(shape) < 2 else shape[:-2]),)


@rule("CausalConvWithState")
def causal_conv(node: Node) -> Sequence[Facts]:
    """The state holds the last k - 1 positions of (batch, channels, length)."""
    dtype, shape = known(node.input(0))
    _, weight = known(node.input(1))
    if shape is None or len(shape) != 3:
        return (Facts(dtype, shape), Facts(dtype, unknown_shape(node, 1, 3)))
    kept = symbolic.sub(weight[2], 1) if weight is not None and len(weight) == 3 else unknown_dim(node, 1, 2)
    return (Facts(dtype, shape), Facts(dtype, (*shape[:2], kept)))
