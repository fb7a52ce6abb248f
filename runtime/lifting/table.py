"""Which function lifts which kind of layer."""

from __future__ import annotations

from collections.abc import Callable

from . import attention, detection, fills, matrix, movement, pointwise, quantization, reduction, windows
from .emitter import Frame

Lifter = Callable[[Frame], str | list[str]]

# Kinds that are not here belong to a loop or a condition (`control_flow`), or cannot be lifted: plugins, whose meaning
# is in their code, collective operations of several devices, and what no parser makes.
LIFTERS: dict[str, Lifter] = {
    # pointwise
    "ELEMENTWISE": pointwise.elementwise, "UNARY": pointwise.unary, "ACTIVATION": pointwise.activation,
    "SCALE": pointwise.scale, "PARAMETRIC_RELU": pointwise.parametric_relu, "SELECT": pointwise.select,
    "IDENTITY": pointwise.identity, "CAST": pointwise.cast,
    # windows
    "CONVOLUTION": windows.convolution, "DECONVOLUTION": windows.convolution, "POOLING": windows.pooling,
    "LRN": windows.local_response, "PADDING": windows.padding, "RESIZE": windows.resize,
    "GRID_SAMPLE": windows.grid_sample,
    # matrices
    "MATRIX_MULTIPLY": matrix.matrix_multiply, "EINSUM": matrix.einsum,
    # movement
    "SHUFFLE": movement.shuffle, "CONCATENATION": movement.concatenation, "SHAPE": movement.shape,
    "SQUEEZE": movement.squeeze, "UNSQUEEZE": movement.unsqueeze, "GATHER": movement.gather,
    "SCATTER": movement.scatter, "REVERSE_SEQUENCE": movement.reverse_sequence, "ONE_HOT": movement.one_hot,
    "NON_ZERO": movement.non_zero, "SLICE": movement.slice_,
    # reductions
    "REDUCE": reduction.reduce, "TOPK": reduction.top_k, "SOFTMAX": reduction.softmax,
    "CUMULATIVE": reduction.cumulative, "NORMALIZATION": reduction.normalization,
    # numbers from nothing
    "CONSTANT": fills.constant, "FILL": fills.fill,
    # codes
    "QUANTIZE": quantization.quantize, "DEQUANTIZE": quantization.dequantize,
    # attention
    "ATTENTION_INPUT": attention.attention, "ATTENTION_OUTPUT": attention.attention_output,
    "ROTARY_EMBEDDING": attention.rotary_embedding, "KV_CACHE_UPDATE": attention.cache_update,
    # conditions: what a branch reads is read from where it is
    "CONDITIONAL_INPUT": pointwise.identity,
    # detection
    "NMS": detection.suppression,
}  # fmt: skip

# Kinds that see types as they are, though ONNX Runtime computes little in them
NARROW = frozenset({"CONSTANT", "CAST", "IDENTITY", "CONDITIONAL_INPUT", "QUANTIZE", "DEQUANTIZE"})
