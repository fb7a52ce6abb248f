"""What a Pad writes is not what a pool or a layer leaves out at its border."""

from __future__ import annotations

import pytest
from legality.adversarial import Case

_HW = "int64[8] p = {0, 0, 1, 1, 0, 0, 1, 1}"
_W = """float[2,2,3,3] w = {1, -1, 2, 0, 1, 3, -2, 1, 1, 0, 0, 2, 1, -1, 1, 2, 2, 1, 1, 0, -1, 3, 1, 1, 2, 0, -2, 1, 1,
    1, 2, -1, 0, 1, 0, 3}"""


def pooled(pool: str, pads: str = _HW, pad: str = "Pad(x, p)", more: str = "") -> str:
    return f"""g (float[1,2,5,5] x) => (float[A,B,C,D] y) <{pads}{more}> {{
        q = {pad}
        y = {pool}(q)
    }}"""


CASES = {
    "Zeros before a MaxPool": Case(pooled("MaxPool<kernel_shape = [3,3]>"), kept="Pad MaxPool"),
    "Zeros before a MaxPool that pads as well": Case(
        pooled("MaxPool<kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2]>"), kept="Pad MaxPool"),
    "A large number before a MaxPool": Case(
        pooled("MaxPool<kernel_shape = [3,3]>", pad="Pad(x, p, c)", more=", float c = {9}"), kept="Pad MaxPool"),
    "The lowest finite number before a MaxPool": Case(
        pooled("MaxPool<kernel_shape = [3,3]>", pad="Pad(x, p, c)", more=", float c = {-3.4028234663852886e38}")),
    "Minus infinity before a MaxPool": Case(
        pooled("MaxPool<kernel_shape = [3,3]>", pad="Pad(x, p, c)", more=", float c = {-inf}")),
    "The edge before a MaxPool": Case(
        pooled("MaxPool<kernel_shape = [3,3]>", pad='Pad<mode = "edge">(x, p)'), kept="Pad MaxPool"),
    "Zeros before a MaxPool, after a Relu": Case("""
        g (float[1,2,5,5] x) => (float[1,2,5,5] y) <int64[8] p = {0, 0, 1, 1, 0, 0, 1, 1}> {
            r = Relu(x)
            q = Pad(r, p)
            y = MaxPool<kernel_shape = [3,3]>(q)
        }"""),
    "Zeros before a MaxPool, its places read": Case("""
        g (float[1,2,5,5] x) => (float[1,2,5,5] y, int64[1,2,5,5] i) <int64[8] p = {0, 0, 1, 1, 0, 0, 1, 1}> {
            q = Pad(x, p)
            y, i = MaxPool<kernel_shape = [3,3]>(q)
        }""", kept="Pad"),
    "Zeros before a GlobalMaxPool": Case(pooled("GlobalMaxPool"), kept="Pad"),
    "Zeros before an AveragePool that does not count its own": Case(
        pooled("AveragePool<kernel_shape = [3,3]>"), gone="Pad"),
    "Zeros before an AveragePool that pads and does not count": Case(
        pooled("AveragePool<kernel_shape = [3,3], pads = [1,1,1,1]>"), kept="Pad AveragePool"),
    "Zeros before an AveragePool that pads and counts": Case(
        pooled("AveragePool<kernel_shape = [3,3], pads = [1,1,1,1], count_include_pad = 1>")),
    "Zeros before an AveragePool that rounds up": Case(
        pooled("AveragePool<kernel_shape = [3,3], strides = [2,2], ceil_mode = 1, count_include_pad = 1>")),
    "Ones before an AveragePool": Case(
        pooled("AveragePool<kernel_shape = [3,3]>", pad="Pad(x, p, c)", more=", float c = {1}"), kept="Pad"),
    "Reflected before an AveragePool": Case(
        pooled("AveragePool<kernel_shape = [3,3]>", pad='Pad<mode = "reflect">(x, p)'), kept="Pad"),
    "Zeros before a GlobalAveragePool": Case(pooled("GlobalAveragePool"), kept="Pad"),
    "Zeros before an LpPool": Case(pooled("LpPool<kernel_shape = [3,3]>")),
    "Zeros of the channels before an AveragePool": Case(
        pooled("AveragePool<kernel_shape = [3,3]>", "int64[8] p = {0, 1, 1, 1, 0, 0, 1, 1}")),
    "Fewer than nothing before an AveragePool": Case(
        pooled("AveragePool<kernel_shape = [2,2]>", "int64[8] p = {0, 0, -1, 0, 0, 0, 1, 0}")),
    "Zeros before a Conv": Case(pooled("Conv", more=f", {_W}").replace("(q)", "(q, w)"), gone="Pad"),
    "Ones before a Conv": Case(
        pooled("Conv", pad="Pad(x, p, c)", more=f", float c = {{1}}, {_W}").replace("(q)", "(q, w)"), kept="Pad"),
    "NaN before a Conv": Case(
        pooled("Conv", pad="Pad(x, p, c)", more=f", float c = {{nan}}, {_W}").replace("(q)", "(q, w)")),
    "The edge before a Conv": Case(
        pooled("Conv", pad='Pad<mode = "edge">(x, p)', more=f", {_W}").replace("(q)", "(q, w)"), kept="Pad"),
    "Fewer than nothing before a Conv": Case(
        pooled("Conv", "int64[8] p = {0, 0, -1, 0, 0, 0, 1, 0}", more=f", {_W}").replace("(q)", "(q, w)")),
    "Zeros of the batch before a Conv": Case(
        pooled("Conv", "int64[8] p = {1, 0, 1, 1, 0, 0, 1, 1}", more=f", {_W}").replace("(q)", "(q, w)")),
    "Zeros before a Conv with automatic pads": Case(
        pooled('Conv<auto_pad = "SAME_UPPER">', more=f", {_W}").replace("(q)", "(q, w)")),
    "Zeros before a Conv with automatic pads of none": Case(
        pooled('Conv<auto_pad = "VALID">', more=f", {_W}").replace("(q)", "(q, w)")),
    "Zeros before a ConvTranspose": Case(
        pooled("ConvTranspose", more=f", {_W}").replace("(q)", "(q, w)"), kept="Pad"),
    "The padded value has other readers": Case(f"""
        g (float[1,2,5,5] x) => (float[1,2,5,5] y, float[1,2,7,7] z) <{_HW}, {_W}> {{
            q = Pad(x, p)
            y = Conv(q, w)
            z = Exp(q)
        }}"""),
    "The padded value is a graph output": Case(f"""
        g (float[1,2,5,5] x) => (float[1,2,5,5] y, float[1,2,7,7] q) <{_HW}, {_W}> {{
            q = Pad(x, p)
            y = Conv(q, w)
        }}""", kept="Pad"),
    "Pads that are an attribute": Case("""<ir_version: 6, opset_import: ["" : 10]>
        g (float[1,2,5,5] x) => (float[1,2,5,5] y) {
            q = Pad<pads = [0, 0, 1, 1, 0, 0, 1, 1]>(x)
            y = MaxPool<kernel_shape = [3,3]>(q)
        }""", kept="Pad"),
    "A bias before padding is not a bias after": Case(f"""
        g (float[1,2,5,5] x) => (float[1,2,5,5] y) <float[2,1,1] b = {{1, 2}}, {_W}> {{
            q = Add(x, b)
            y = Conv<pads = [1,1,1,1]>(q, w)
        }}""", kept="Add"),
    "BatchNormalization before a Conv that pads": Case(f"""
        g (float[1,2,5,5] x) => (float[1,2,5,5] y) <float[2] s = {{1, 2}}, float[2] b = {{1, 2}}, float[2] m = {{0, 1}},
        float[2] v = {{1, 2}}, {_W}> {{
            q = BatchNormalization(x, s, b, m, v)
            y = Conv<pads = [1,1,1,1]>(q, w)
        }}"""),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_borders_stay(title: str) -> None:
    CASES[title].check()
