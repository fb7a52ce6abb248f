"""Rules of convolutions, pooling, products, norms, recurrent cells, attention and signals against real outputs."""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from planish.compiler import symbolic
from planish.compiler.inference import RULES, infer_model
from planish.compiler.reading import load

OPS = frozenset({
    "Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv", "MaxPool", "AveragePool", "LpPool",
    "GlobalAveragePool", "GlobalMaxPool", "MatMul", "MatMulInteger", "QLinearMatMul", "Gemm", "Einsum",
    "BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization",
    "LpNormalization", "LRN", "MeanVarianceNormalization", "Softmax", "LogSoftmax", "Hardmax", "RNN", "GRU", "LSTM",
    "Attention", "RotaryEmbedding", "MaxUnpool", "DFT", "STFT", "MelWeightMatrix", "SoftmaxCrossEntropyLoss",
    "NegativeLogLikelihoodLoss", "Det", "CausalConvWithState", "LinearAttention", "SwiGLU", "FlexAttention", "Col2Im",
    "AffineGrid", "ImageDecoder",
})  # fmt: skip


def test_claims_hold_for_the_backend_cases(check_backend):
    compared, found = check_backend(OPS)
    assert compared > 400
    assert not found, "\n".join(found[:20])


def model_of(nodes, inputs, outputs, initializers=(), opset=21, extra_opsets=()):
    """inputs and outputs: name -> (dtype, shape or None)."""
    infos = [[helper.make_tensor_value_info(n, t, s) for n, (t, s) in group.items()] for group in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *infos, list(initializers))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in extra_opsets)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def inferred(proto):
    model = load(proto)
    infer_model(model)
    return [(v.dtype, v.shape) for v in model.graph.outputs]


FLOAT = TensorProto.FLOAT


def real_shape(proto, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return tuple(session.run(None, feeds)[0].shape)


def window_settings():
    for kernel, stride, dilation in itertools.product((1, 2, 3), (1, 2, 3), (1, 2)):
        for pads in ((0, 0), (1, 0), (0, 1)):
            if max(pads) < kernel:
                yield dict(kernel_shape=[kernel], strides=[stride], dilations=[dilation], pads=list(pads))
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            if dilation == 1 and stride <= kernel:  # ONNX Runtime refuses the others
                yield dict(kernel_shape=[kernel], strides=[stride], auto_pad=auto)


@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool-ceil", "MaxPool-ceil", "LpPool-ceil"])
def test_windows_agree_with_onnx_runtime(op):
    op_type, _, ceil = op.partition("-")
    for settings in window_settings():
        inputs = {"x": (FLOAT, ["N", 2, "W"])}
        if op_type == "Conv":
            inputs["w"] = (FLOAT, [2, 2, settings["kernel_shape"][0]])
        elif ceil:
            settings["ceil_mode"] = 1
        proto = model_of([helper.make_node(op_type, list(inputs), ["y"], **settings)], inputs, {"y": (FLOAT, None)})
        [(dtype, shape)] = inferred(proto)
        assert dtype == FLOAT
        for width in (5, 6, 7, 8):
            feeds = {"x": np.ones((1, 2, width), np.float32)}
            if op_type == "Conv":
                feeds["w"] = np.ones((2, 2, settings["kernel_shape"][0]), np.float32)
            names = symbolic.symbols(shape[2])
            if names <= {"W"}:
                claimed = symbolic.evaluate(shape[2], {"W": width})
                assert claimed == real_shape(proto, feeds)[2], (settings, width)
            else:
                assert settings.get("auto_pad") == "VALID" and ceil, settings


def test_transposed_windows_agree_with_onnx_runtime():
    for kernel, stride, extra in itertools.product((1, 2, 3), (1, 2, 3), (0, 1)):
        choices = [{"pads": [0, 0]}, {"pads": [1, 0]}, {"auto_pad": "VALID"}, {"auto_pad": "SAME_UPPER"}]
        for choice in [*choices, {"auto_pad": "SAME_LOWER"}, {"output_shape": [4]}]:
            if (extra and extra >= stride) or (choice.get("pads") == [1, 0] and kernel == 1):
                continue
            if "output_shape" in choice and (kernel, stride, extra) != (2, 1, 0):
                continue
            settings = dict(kernel_shape=[kernel], strides=[stride], output_padding=[extra], **choice)
            inputs = {"x": (FLOAT, ["N", 2, "W"]), "w": (FLOAT, [2, 3, kernel])}
            node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], **settings)
            proto = model_of([node], inputs, {"y": (FLOAT, None)})
            [(_, shape)] = inferred(proto)
            for width in (3, 4, 5) if "output_shape" not in choice else (3,):
                feeds = {"x": np.ones((1, 2, width), np.float32), "w": np.ones((2, 3, kernel), np.float32)}
                if symbolic.symbols(shape[2]) <= {"W"}:
                    claimed = symbolic.evaluate(shape[2], {"W": width})
                    assert claimed == real_shape(proto, feeds)[2], (settings, width)
                else:
                    assert (extra or kernel < stride) and choice.get("auto_pad", "").startswith("SAME")


def test_grouped_transposed_convolution_counts_its_channels():
    inputs = {"x": (FLOAT, ["N", 4, "H", "W"]), "w": (FLOAT, [4, 5, 3, 3])}
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], group=2, strides=[2, 2], pads=[1, 1, 1, 1])
    [(_, shape)] = inferred(model_of([node], inputs, {"y": (FLOAT, None)}))
    assert [str(d) for d in shape] == ["N", "10", "2*H - 1", "2*W - 1"]


@pytest.mark.parametrize(
    ("a", "b"), [([3], [3]), ([3], ["B", 3, 4]), (["B", 2, 3], [3]), (["B", 1, 2, 3], [5, 3, 4]), ([1, 0, 3], [3, 4])]
)
def test_matmul_follows_numpy(a, b):
    proto = model_of(
        [helper.make_node("MatMul", ["a", "b"], ["y"])], {"a": (FLOAT, a), "b": (FLOAT, b)}, {"y": (FLOAT, None)}
    )
    [(_, shape)] = inferred(proto)
    sizes = {"B": 7}
    x, y = (np.ones([sizes.get(d, d) for d in dims]) for dims in (a, b))
    assert tuple(symbolic.evaluate(d, sizes) for d in shape) == (x @ y).shape


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("ii->i", [(3, 3)]), ("ii", [(3, 3)]),
        ("...ij,...jk->...ik", [(5, 2, 3), (1, 3, 4)]), ("bij...,j->...bi", [(2, 3, 4, 5, 6), (4,)]),
        ("i,j", [(2,), (3,)]), (" b a , a -> b ", [(2, 3), (1,)]), ("Ab,bA->", [(2, 3), (3, 2)]),
    ],
)  # fmt: skip
def test_einsum_follows_numpy(equation, shapes):
    names = [f"x{i}" for i in range(len(shapes))]
    real = np.einsum(equation, *(np.ones(s) for s in shapes)).shape
    for naming in (lambda d: d, lambda d: f"s{d}"):
        inputs = {n: (FLOAT, [naming(d) for d in s]) for n, s in zip(names, shapes)}
        proto = model_of([helper.make_node("Einsum", names, ["y"], equation=equation)], inputs, {"y": (FLOAT, None)})
        [(_, shape)] = inferred(proto)
        assert len(shape) == len(real)
        for dim, size in zip(shape, real):
            if all(name.startswith("s") for name in symbolic.symbols(dim)):
                assert symbolic.evaluate(dim, {f"s{d}": d for s in shapes for d in s}) == size


def test_einsum_joins_a_symbol_with_a_number():
    inputs = {"a": (FLOAT, ["N", "K"]), "b": (FLOAT, [5, "M"])}
    node = helper.make_node("Einsum", ["a", "b"], ["y"], equation="ij,jk->ijk")
    [(_, shape)] = inferred(model_of([node], inputs, {"y": (FLOAT, None)}))
    assert [str(d) for d in shape] == ["N", "5", "M"]


def test_layer_normalization_statistics():
    node = helper.make_node("LayerNormalization", ["x", "s"], ["y", "m", "d"], axis=1)
    inputs = {"x": (TensorProto.FLOAT16, ["N", 3, 4]), "s": (TensorProto.FLOAT16, [3, 4])}
    outputs = dict.fromkeys("ymd", (0, None))
    facts = inferred(model_of([node], inputs, outputs))
    assert [t for t, _ in facts] == [TensorProto.FLOAT16, FLOAT, FLOAT]
    assert [str(d) for d in facts[1][1]] == ["N", "1", "1"]


def test_batch_normalization_before_and_since_opset_14():
    names = ["x", "s", "b", "m", "v"]
    half = TensorProto.FLOAT16
    inputs = {"x": (half, ["N", 3, 4]), **{n: (half, [3]) for n in "sb"}, **{n: (FLOAT, [3]) for n in "mv"}}
    for opset, count, dtype in ((9, 5, half), (15, 3, FLOAT)):
        node = helper.make_node("BatchNormalization", names, [f"y{i}" for i in range(count)])
        facts = inferred(model_of([node], inputs, {f"y{i}": (0, None) for i in range(count)}, opset=opset))
        assert facts[0][0] == half and facts[1:] == [(dtype, (3,))] * (count - 1)


@pytest.mark.parametrize(("layout", "expected"), [(0, ["T", "2", "B", "8"]), (1, ["T", "B", "2", "8"])])
def test_lstm_layouts(layout, expected):
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y", "h", "c"], direction="bidirectional", layout=layout)
    inputs = {"x": (FLOAT, ["T", "B", 5]), "w": (FLOAT, [2, 32, 5]), "r": (FLOAT, [2, 32, 8])}
    facts = inferred(model_of([node], inputs, dict.fromkeys("yhc", (0, None))))
    assert [str(d) for d in facts[0][1]] == expected
    assert [str(d) for d in facts[1][1]] == (["2", "B", "8"] if layout == 0 else ["T", "2", "8"])


def test_attention_with_a_cache():
    node = helper.make_node(
        "Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "ok", "ov", "s"], q_num_heads=4, kv_num_heads=2
    )
    inputs = {
        "q": (FLOAT, ["B", "S", 64]), "k": (FLOAT, ["B", "S", 32]), "v": (FLOAT, ["B", "S", 16]),
        "pk": (FLOAT, ["B", 2, "P", 16]), "pv": (FLOAT, ["B", 2, "P", 8]),
    }  # fmt: skip
    facts = inferred(model_of([node], inputs, dict.fromkeys(("y", "ok", "ov", "s"), (0, None)), opset=23))
    texts = [[str(d) for d in shape] for _, shape in facts]
    assert texts[0] == ["B", "S", "32"] and texts[1][3] == "16" and texts[2][3] == "8"
    assert texts[3][:3] == ["B", "4", "S"] and texts[1][2] == texts[2][2] == texts[3][3] == "S + P"


def test_contrib_operators_that_real_files_hold():
    domain = "com.microsoft"
    cases = [
        ("MatMulNBits", {"a": ["B", "S", 64], "b": [32, 2, 16], "s": [64]}, dict(K=64, N=32, bits=4), ["B", "S", "32"]),
        ("FusedMatMul", {"a": ["B", 3, 4], "b": ["B", 5, 3]}, dict(transA=1, transB=1), ["B", "4", "5"]),
        ("Gelu", {"a": ["B", 4]}, {}, ["B", "4"]),
        ("SkipLayerNormalization", {"a": ["B", 4, 8], "b": ["B", 4, 8], "g": [8]}, {}, ["B", "4", "8"]),
        ("DynamicQuantizeMatMul", {"a": ["B", 4], "b": [4, 6], "s": [1]}, {}, ["B", "6"]),
        ("FusedConv", {"a": ["B", 3, 8, 8], "b": [5, 3, 3, 3]}, dict(activation="Relu"), ["B", "5", "6", "6"]),
    ]  # fmt: skip
    for op, inputs, settings, expected in cases:
        node = helper.make_node(op, list(inputs), ["y"], domain=domain, **settings)
        proto = model_of([node], {n: (FLOAT, s) for n, s in inputs.items()}, {"y": (0, None)}, extra_opsets=[domain])
        [(dtype, shape)] = inferred(proto)
        assert dtype == FLOAT and [str(d) for d in shape] == expected, op


def test_missing_facts_and_odd_attributes_never_raise():
    """Every rule is asked about a node of which nothing is known, and about one with ranks that do not fit."""
    families = ("axes", "learned", "neural", "reduction", "sequences")
    rules = [k for k, r in RULES.items() if r.__module__.rpartition(".")[2].partition("_")[0] in families]
    assert len(rules) > 100
    for key in rules:
        domain, _, op = key.rpartition("::")
        for shape, opset in itertools.product((None, [], [2], ["N", 3], [1, 2, 3, 4, 5]), (1, 8, 12, 18, 25)):
            names = [f"x{i}" for i in range(6)]
            nodes = [
                helper.make_node(op, names, ["y", "b", "c"], domain=domain, pads=[1], axes=[7], axis=9),
                helper.make_node(op, [names[0]], ["z"], domain=domain),
            ]
            inputs = dict.fromkeys(names, (0 if shape is None else TensorProto.INT64, shape))
            proto = model_of(nodes, inputs, {"y": (0, None)}, opset=opset, extra_opsets=[domain] if domain else ())
            inferred(proto)
