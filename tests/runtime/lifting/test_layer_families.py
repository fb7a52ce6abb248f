"""Small models of every family of layers: the lifted network has the same interface and computes the same."""

from __future__ import annotations

import pytest

from .networks import differences, drawn, lifted, model_of

FAMILIES: dict[str, dict[str, str]] = {
    "pointwise": {
        "arithmetic": "(float[2,3] a, float[3] b) => (float[2,3] y) "
        "{ s = Add(a, b) d = Sub(s, b) m = Mul(d, a) q = Div(m, b) p = Max(q, a) y = Min(p, b) }",
        "integers": "(int64[6] a, int64[6] b) => (int64[6] y, bool[6] l) "
        "{ o = Constant<value = int64[1] {20}>() c = Add(b, o) y = Mod(a, c) l = Less(a, c) }",
        "functions": "(float[9] x) => (float[9] y) { a = Abs(x) b = Sqrt(a) c = Exp(b) d = Log(c) e = Sin(d) "
        "f = Cos(e) g = Erf(f) h = Floor(x) i = Ceil(x) j = Round(x) k = Sign(x) l = Neg(k) "
        "y = Sum(g, h, i, j, l) }",
        "trigonometry": "(float[9] x) => (float[9] y) { a = Tanh(x) b = Asin(a) c = Acos(a) d = Atan(x) e = Sinh(a) "
        "f = Cosh(a) g = Asinh(x) h = Atanh(a) i = Acosh(f) j = Tan(a) y = Sum(b, c, d, e, f, g, h, i, j) }",
        "activations": "(float[9] x) => (float[9] y) { a = Relu(x) b = Sigmoid(x) c = Tanh(x) d = LeakyRelu(x) "
        "e = Elu<alpha = 0.5>(x) f = Selu(x) g = Softsign(x) h = Softplus(x) i = HardSigmoid(x) "
        "j = ThresholdedRelu(x) k = Gelu(x) l = Gelu<approximate = \"tanh\">(x) m = HardSwish(x) n = Mish(x) "
        "y = Sum(a, b, c, d, e, f, g, h, i, j, k, l, m, n) }",
        "clip": "(float[9] x) => (float[9] y) { l = Constant<value_float = -0.5>() h = Constant<value_float = 0.5>() "
        "y = Clip(x, l, h) }",
        "integer_clip": "(int32[9] x) => (int32[9] y) { h = Constant<value = int32 {3}>() y = Clip(x, , h) }",
        "logic": "(bool[6] a, bool[6] b) => (bool[6] y) { c = And(a, b) d = Or(c, a) e = Xor(d, b) y = Not(e) }",
        "choice": "(float[6] a, float[6] b) => (float[6] y) { c = Greater(a, b) y = Where(c, a, b) }",
        "slopes": "(float[2,3,4] x, float[3,1] s) => (float[2,3,4] y) { y = PRelu(x, s) }",
        "types": "(float[6] x) => (int32[6] y) { a = Cast<to = 10>(x) b = Cast<to = 7>(a) y = Cast<to = 6>(b) }",
        "not_finite": "(float[6] x) => (bool[6] y) { z = Sub(x, x) d = Div(x, z) i = IsInf(d) q = Div(z, z) "
        "n = IsNaN(q) y = And(i, n) }",
        "powers": "(float[6] x) => (float[6] y) { e = Constant<value_float = 2.0>() y = Pow(x, e) }",
        "known_batch_norm": "(float[2,3,4,4] x) => (float[2,3,4,4] y) <float[3] s = {1, 2, 3}, float[3] b = {0, 1, "
        "-1}, "
        "float[3] m = {0.5, 0, 1}, float[3] v = {1, 4, 9}> { y = BatchNormalization(x, s, b, m, v) }",
        "identity": "(float[3] x) => (float[3] y) { y = Identity(x) }",
        "batch_norm": "(float[2,3,4] x, float[3] s, float[3] b, float[3] m, float[3] v) => (float[2,3,4] y) "
        "{ w = Abs(v) y = BatchNormalization(x, s, b, m, w) }",
    },
    "windows": {
        "conv": "(float[1,4,7,7] x, float[6,2,3,3] w, float[6] b) => (float[1,6,h,v] y) "
        "{ y = Conv<group = 2, strides = [2,1], pads = [1,0,2,1], dilations = [1,2]>(x, w, b) }",
        "conv_of_a_line": "(float[1,4,7] x, float[6,4,3] w) => (float[1,6,5] y) { y = Conv(x, w) }",
        "conv_of_a_volume": "(float[1,2,5,5,5] x, float[3,2,3,3,3] w) => (float[1,3,3,3,3] y) { y = Conv(x, w) }",
        "conv_padded_alike": "(float[1,2,6,6] x, float[3,2,3,3] w) => (float[1,3,3,3] y) "
        "{ y = Conv<auto_pad = \"SAME_LOWER\", strides = [2,2]>(x, w) }",
        "transposed_conv": "(float[1,4,5,5] x, float[4,3,3,3] w, float[6] b) => (float[1,6,h,v] y) "
        "{ y = ConvTranspose<group = 2, strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]>(x, w, b) }",
        "max_pool": "(float[1,2,7,7] x) => (float[1,2,4,4] y) "
        "{ y = MaxPool<kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]>(x) }",
        "mean_pool": "(float[1,2,7,7] x) => (float[1,2,4,4] y) { y = AveragePool<kernel_shape = [3,3], strides = "
        "[2,2], "
        "pads = [1,1,1,1], count_include_pad = 1>(x) }",
        "pool_rounded_up": "(float[1,2,6,6] x) => (float[1,2,3,3] y) "
        "{ y = MaxPool<kernel_shape = [3,3], strides = [2,2], ceil_mode = 1>(x) }",
        "whole_pool": "(float[1,2,6,6] x) => (float[1,2,1,1] y) { y = GlobalAveragePool(x) }",
        "lrn": "(float[1,6,3,3] x) => (float[1,6,3,3] y) { y = LRN<size = 3, alpha = 0.1>(x) }",
        "resize_nearest": "(float[1,1,3,4] x) => (float[1,1,6,8] y) { s = Constant<value = float[4] {1,1,2,2}>() "
        "y = Resize<mode = \"nearest\">(x, , s) }",
        "resize_linear": "(float[1,1,3,4] x) => (float[1,1,5,9] y) { s = Constant<value = int64[4] {1,1,5,9}>() "
        "y = Resize<mode = \"linear\", coordinate_transformation_mode = \"align_corners\">(x, , , s) }",
        "resize_cubic": "(float[1,1,4,4] x) => (float[1,1,8,8] y) { s = Constant<value = float[4] {1,1,2,2}>() "
        "y = Resize<mode = \"cubic\", cubic_coeff_a = -0.5>(x, , s) }",
        "grid": "(float[1,1,4,4] x, float[1,3,3,2] g) => (float[1,1,3,3] y) { y = GridSample(x, g) }",
    },
    "matrices": {
        "matmul": "(float[2,3,4] a, float[4,5] b) => (float[2,3,5] y) { y = MatMul(a, b) }",
        "vectors": "(float[4] a, float[4,5] b) => (float[5] y) { y = MatMul(a, b) }",
        "gemm": "(float[4,3] a, float[5,4] b, float[5] c) => (float[3,5] y) "
        "{ y = Gemm<transA = 1, transB = 1, alpha = 0.5, beta = 2.0>(a, b, c) }",
        "einsum": "(float[2,3,4] a, float[2,5,4] b) "
        "=> (float[2,3,5] y) { y = Einsum<equation = \"bij,bkj->bik\">(a, b) }",
    },
    "movement": {
        "views": "(float[2,3,4] x) => (float[4,6] y) { t = Transpose<perm = [2,0,1]>(x) "
        "s = Constant<value = int64[2] {0,-1}>() y = Reshape(t, s) }",
        "squeeze": "(float[2,1,3] x) => (float[1,2,3] y) { a = Constant<value = int64[1] {1}>() s = Squeeze(x, a) "
        "z = Constant<value = int64[1] {0}>() y = Unsqueeze(s, z) }",
        "concat": "(float[2,3] a, float[2,1] b) => (float[2,4] y) { y = Concat<axis = -1>(a, b) }",
        "split": "(float[2,6] x) => (float[2,2] a, float[2,4] b) { s = Constant<value = int64[2] {2,4}>() "
        "a, b = Split<axis = 1>(x, s) }",
        "slice": "(float[6,7] x) => (float[3,2] y) { s = Constant<value = int64[2] {5,1}>() "
        "e = Constant<value = int64[2] {-7,6}>() a = Constant<value = int64[2] {0,1}>() "
        "t = Constant<value = int64[2] {-2,3}>() y = Slice(x, s, e, a, t) }",
        "slice_of_unknown_axes": "(float[6,7] x, int64[1] s, int64[1] a) => (float[h,w] y) "
        "{ one = Constant<value = int64[1] {1}>() z = Mul(s, a) e = Constant<value = int64[1] {3}>() m = Mul(z, z) "
        "n = Min(m, one) b = Min(n, one) y = Slice(x, b, e, n) }",
        "gather": "(float[5,4] x) "
        "=> (float[5,2] y) { i = Constant<value = int64[2] {3,-1}>() y = Gather<axis = 1>(x, i) }",
        "gather_elements": "(float[2,3] x) => (float[2,2] y) { i = Constant<value = int64[2,2] {0,2,1,1}>() "
        "y = GatherElements<axis = 1>(x, i) }",
        "gather_tuples": "(float[2,3,4] x) => (float[2,4] y) { i = Constant<value = int64[2,1] {2,0}>() "
        "y = GatherND<batch_dims = 1>(x, i) }",
        "scatter": "(float[4,3] x, float[2,3] u) => (float[4,3] y) { i = Constant<value = int64[2,1] {3,1}>() "
        "y = ScatterND(x, i, u) }",
        "scatter_elements": "(float[3,3] x, float[1,2] u) => (float[3,3] y) { i = Constant<value = int64[1,2] {2,0}>() "
        "y = ScatterElements<axis = 1>(x, i, u) }",
        "one_hot": "(float[2] x) => (float[3,4] y) { i = Constant<value = int64[3] {0,3,2}>() "
        "d = Constant<value = int64 {4}>() y = OneHot(i, d, x) }",
        "pad": "(float[3,4] x) => (float[6,5] y) { p = Constant<value = int64[4] {1,0,2,1}>() "
        "v = Constant<value_float = 7.0>() y = Pad(x, p, v) }",
        "pad_mirrored": "(float[3,4] x) => (float[5,6] y) { p = Constant<value = int64[4] {1,2,1,0}>() "
        "y = Pad<mode = \"reflect\">(x, p) }",
        "pad_edges": "(float[3,4] x) => (float[5,6] y) { p = Constant<value = int64[4] {1,2,1,0}>() "
        "y = Pad<mode = \"edge\">(x, p) }",
        "expand": "(float[3,1] x) => (float[2,3,4] y) { s = Constant<value = int64[3] {2,1,4}>() y = Expand(x, s) }",
        "tile": "(float[2,3] x) => (float[4,9] y) { r = Constant<value = int64[2] {2,3}>() y = Tile(x, r) }",
        "depth": "(float[1,8,2,2] x) => (float[1,2,4,4] y) { y = DepthToSpace<blocksize = 2, mode = \"CRD\">(x) }",
        "triangle": "(float[3,4] x) => (float[3,4] y) { k = Constant<value = int64 {1}>() y = Trilu<upper = 1>(x, k) }",
        "reversed": "(float[3,4] x) => (float[3,4] y) { l = Constant<value = int64[4] {1,2,3,3}>() "
        "y = ReverseSequence<time_axis = 0, batch_axis = 1>(x, l) }",
    },
    "reductions": {
        "sums": "(float[2,3,4] x) => (float[2,1,4] a, float[2,4] b) { i = Constant<value = int64[1] {1}>() "
        "a = ReduceSum(x, i) b = ReduceMean<keepdims = 0>(x, i) }",
        "extrema": "(float[2,3,4] x) => (float[2,1,4] a, float[1,3,1] b, float[2,3,1] c) "
        "{ i = Constant<value = int64[1] {1}>() j = Constant<value = int64[2] {0,2}>() "
        "k = Constant<value = int64[1] {-1}>() a = ReduceMax(x, i) b = ReduceMin(x, j) c = ReduceProd(x, k) }",
        "norms": "(float[2,3,4] x) => (float[2,1,4] y) { i = Constant<value = int64[1] {1}>() a = ReduceL1(x, i) "
        "b = ReduceL2(x, i) c = ReduceSumSquare(x, i) d = ReduceLogSumExp(x, i) y = Sum(a, b, c, d) }",
        "top": "(float[2,9] x) "
        "=> (float[2,3] v, int64[2,3] i) { k = Constant<value = int64[1] {3}>() v, i = TopK(x, k) }",
        "places": "(float[2,9] x) => (int64[2,1] y) { y = ArgMin<axis = 1>(x) }",
        "softmax": "(float[2,3,4] x) => (float[2,3,4] y) { a = Softmax<axis = 1>(x) b = LogSoftmax<axis = -1>(x) "
        "y = Add(a, b) }",
        "running_sum": "(float[2,5] x) => (float[2,5] y) { a = Constant<value = int64 {1}>() "
        "y = CumSum<exclusive = 1, reverse = 1>(x, a) }",
        "layer_norm": "(float[2,3,8] x, float[8] s, float[8] b) "
        "=> (float[2,3,8] y) { y = LayerNormalization(x, s, b) }",
        "instance_norm": "(float[2,3,8] x, float[3] s, float[3] b) => (float[2,3,8] y) "
        "{ y = InstanceNormalization(x, s, b) }",
        "group_norm": "(float[2,6,4,4] x, float[6] s, float[6] b) => (float[2,6,4,4] y) "
        "{ y = GroupNormalization<num_groups = 3>(x, s, b) }",
    },
    "fills": {
        "range": "(int64 n) => (int64[m] y) { z = Constant<value = int64 {4}>() o = Constant<value = int64 {3}>() "
        "e = Constant<value = int64 {19}>() y = Range(z, e, o) }",
        "constant_of_shape": "(float[2,n] x) => (float[2,n] y) { s = Shape(x) "
        "c = ConstantOfShape<value = float[1] {2.5}>(s) y = Add(x, c) }",
        "eye": "(float[3,3] x) => (float[3,3] y) { e = EyeLike<k = 1>(x) y = Mul(x, e) }",
        "weights": "(float[2] x) => (float[3,2] y) <float[3,1] w = {1.5, -2.0, 0.25}> { y = Mul(x, w) }",
    },
    "dynamic": {
        "open_sizes": "(float[n,3,h] x) "
        "=> (float[n,k] y) { s = Constant<value = int64[2] {0,-1}>() y = Reshape(x, s) }",
        "shapes": "(float[n,3,h] x, float[n,3,h] z) => (int64[3] y) { s = Shape(x) t = Shape(z) y = Max(s, t) }",
        "broadcast": "(float[n,3,1] x, float[h] z) => (float[n,3,h] y) { y = Add(x, z) }",
        "open_slices": "(float[n,7] x) => (float[k,3] y) { s = Constant<value = int64[2] {1,1}>() "
        "e = Constant<value = int64[2] {9223372036854775807,-1}>() a = Constant<value = int64[2] {0,1}>() "
        "t = Constant<value = int64[2] {1,2}>() y = Slice(x, s, e, a, t) }",
    },
    "detection": {
        "boxes": "(float[1,6,4] b, float[1,2,6] s) => (int64[n,3] y) { m = Constant<value = int64 {3}>() "
        "t = Constant<value_float = 0.5>() u = Constant<value_float = 0.1>() y = NonMaxSuppression(b, s, m, t, u) }",
    },
}
CASES = {f"{family}/{name}": text for family, models in FAMILIES.items() for name, text in models.items()}


@pytest.mark.parametrize("case", CASES)
def test_a_lifted_network_computes_the_same(case: str) -> None:
    model = model_of(CASES[case])
    assert not differences(model, drawn(model, n=2, h=5))


def test_every_kind_of_layer_that_the_parser_makes_is_met() -> None:
    met = {layer["kind"] for text in CASES.values() for layer in lifted(model_of(text)).layers}
    expected = {
        "ACTIVATION", "CAST", "CONCATENATION", "CONSTANT", "CONVOLUTION", "CUMULATIVE", "DECONVOLUTION", "EINSUM",
        "ELEMENTWISE", "FILL", "GATHER", "GRID_SAMPLE", "IDENTITY", "LRN", "MATRIX_MULTIPLY", "NMS", "NORMALIZATION",
        "ONE_HOT", "PARAMETRIC_RELU", "POOLING", "REDUCE", "RESIZE", "REVERSE_SEQUENCE", "SCALE", "SCATTER", "SELECT",
        "SHAPE", "SHUFFLE", "SLICE", "SOFTMAX", "SQUEEZE", "TOPK", "UNARY", "UNSQUEEZE",
    }  # fmt: skip
    assert expected == met


def test_the_table_of_layers_names_the_nodes_they_come_from() -> None:
    model = model_of("(float[2,3] x, float[3,4] w) => (float[2,4] y) { [first] m = MatMul(x, w) [second] y = Relu(m) }")
    for entry in lifted(model).layers:
        assert entry["nodes"] == ["first" if entry["kind"] == "MATRIX_MULTIPLY" else "second"]
        assert entry["outputs"][0]["dtype"] == "FLOAT" and entry["outputs"][0]["shape"] == [2, 4]
