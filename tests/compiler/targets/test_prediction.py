"""What the cost model says of pairs of graphs that were measured once on the machine of its calibration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from planish.compiler.cost import EverySymbol
from planish.compiler.inference import infer_model
from planish.compiler.model import Model
from planish.compiler.reading import load
from planish.compiler.targets import Comparison, Scenario, compare, target_named
from planish.compiler.targets.kernels import Profile
from planish.compiler.targets.layout import Layouts
from planish.models.graph_builder import GraphBuilder


class Layers(GraphBuilder):
    """A builder with the layers of the measured pairs."""

    def conv(self, x: str, channels: int, outputs: int, kernel: int = 1, group: int = 1, relu: bool = True) -> str:
        weight = self.weight("w", self.rng.standard_normal((outputs, channels // group, kernel, kernel)).astype("f4"))
        bias = self.weight("b", self.rng.standard_normal(outputs).astype("f4"))
        pads = [kernel // 2] * 4
        y = self.op("Conv", x, weight, bias, kernel_shape=[kernel] * 2, pads=pads, group=group)
        return self.op("Relu", y) if relu else y

    def split(self, x: str, sizes: tuple[int, ...]) -> list[str]:
        return self.ops("Split", x, self.weight("sizes", np.array(sizes)), outputs=len(sizes), axis=1)

    def loaded(self, y: str) -> Model:
        self.output(y, "y", [None] * 4)
        model = load(self.model())
        infer_model(model)
        return model


def branches(merged: bool, widths: tuple[int, ...], channels: int, extent: int) -> Model:
    """Pointwise layers on one value, each with a layer of its own behind it."""
    b = Layers("g", 17)
    x = b.conv(b.input("x", ["N", channels, extent, extent]), channels, channels, 3)
    if merged:
        parts = b.split(b.conv(x, channels, sum(widths)), widths)
    else:
        parts = [b.conv(x, channels, width) for width in widths]
    tails = [parts[0], b.conv(parts[1], widths[1], 2 * widths[1], 3), b.conv(parts[2], widths[2], 2 * widths[2], 5)]
    joined = b.op("Concat", *tails, axis=1)
    return b.loaded(b.conv(joined, widths[0] + 2 * widths[1] + 2 * widths[2], 16))


def into_concat(merged: bool, widths: tuple[int, ...], channels: int, extent: int) -> Model:
    """Layers on one value that go straight into a Concat."""
    b = Layers("g", 17)
    x = b.conv(b.input("x", ["N", channels, extent, extent]), channels, channels, 3)
    if merged:
        y = b.conv(x, channels, sum(widths), 3)
    else:
        y = b.op("Concat", *(b.conv(x, channels, width, 3) for width in widths), axis=1)
    return b.loaded(b.conv(y, sum(widths), 16))


def residual(merged: bool, widths: tuple[int, ...], channels: int, extent: int) -> Model:
    """A residual block whose shortcut is widened by zeros, or whose layers in front are."""
    narrow, wide = widths
    b = Layers("g", 17)
    width = wide if merged else narrow
    x = b.conv(b.input("x", ["N", channels, extent, extent]), channels, width, 3)
    y = b.conv(b.conv(x, width, width, 3, group=width, relu=False), width, wide, relu=False)
    zeros = b.weight("zeros", np.zeros((1, wide - narrow, extent, extent), np.float32))
    shortcut = x if merged else b.op("Concat", x, zeros, axis=1)
    return b.loaded(b.op("Relu", b.op("Add", y, shortcut)))


def comparison(build: Callable[..., Model], *arguments: object) -> Comparison:
    before, after = (list(build(merged, *arguments).graph) for merged in (False, True))
    return compare("onnx", before, after)


# The measured ratios: medians of interleaved runs, ONNX Runtime 1.32, one thread, AVX-512.
MEASURED = [
    (branches, (16, 12, 4), 24, 14, 0.96),
    (branches, (4, 4, 4), 16, 14, 0.94),
    (branches, (32, 16, 16), 64, 28, 1.03),
    (branches, (16, 16, 16), 32, 14, 1.05),
    (into_concat, (16, 16), 32, 14, 0.86),
    (into_concat, (8, 8, 8, 8), 32, 28, 0.54),
    (into_concat, (12, 20), 64, 14, 0.80),
    (into_concat, (64, 64), 64, 28, 0.98),
    (residual, (24, 28), 16, 32, 0.88),
    (residual, (36, 42), 16, 16, 1.54),
    (residual, (42, 48), 16, 32, 0.64),
    (residual, (48, 56), 16, 32, 1.07),
]


@pytest.mark.parametrize(
    ("build", "widths", "channels", "extent", "measured"), MEASURED, ids=lambda a: getattr(a, "__name__", str(a))
)
def test_predicted_ratios(
    build: Callable[..., Model], widths: tuple[int, ...], channels: int, extent: int, measured: float
) -> None:
    found = comparison(build, widths, channels, extent)
    assert (found.ratio < 1) == (measured < 1)
    assert found.ratio == pytest.approx(measured, rel=0.2)


def test_a_comparison_says_for_which_target_and_how_well_it_is_known() -> None:
    text = str(comparison(into_concat, (16, 16), 32, 14))
    assert text.endswith("us predicted on onnxruntime-cpu")
    before, after = (list(into_concat(m, (16, 16), 32, 14).graph) for m in (False, True))
    nominal = compare("tensorrt", before, after)
    assert nominal.ratio < 1 and str(nominal).endswith("us nominal, not measured on tensorrt-gpu")


def test_the_worst_of_the_probed_sizes_decides() -> None:
    scenario = Scenario(list(branches(False, (16, 16, 16), 32, 14).graph))
    target = target_named("onnx")
    small, large = (target.predict(scenario, EverySymbol(size)) for size in (1, 32))
    assert 10 * small < large
    assert compare("onnx", scenario.nodes, scenario.nodes).ratio == 1


def test_calibrated_targets_say_how() -> None:
    assert "ONNX Runtime" in target_named("onnx").measured
    assert target_named("ort") == target_named("onnx")
    assert not target_named("tensorrt").measured


def test_channels_that_do_not_fit_keep_the_plain_kernel() -> None:
    b = Layers("g", 17)
    x = b.conv(b.input("x", [1, 16, 8, 8]), 16, 42)
    model = b.loaded(b.conv(b.conv(x, 42, 32, relu=False), 32, 32, relu=False))
    layouts = Layouts(16)
    assert [layouts.blocked(n.output) for n in model.graph] == [True, True, False, True]


def test_elements_are_reordered_once_for_all_plain_readers() -> None:
    b = Layers("g", 17)
    x = b.conv(b.input("x", [1, 16, 8, 8]), 16, 32, relu=False)
    y = b.op("Concat", *b.split(x, (8, 24)), b.op("Transpose", x, perm=[0, 1, 3, 2]), axis=1)
    work = Profile(Scenario(list(b.loaded(y).graph)), 16).work()
    assert work["reorder bytes"] == 4 * 8 * 8 * (16 + 32)  # the input for the layer, its output for two readers


def test_a_plan_is_read_by_those_that_will_read_it() -> None:
    b = Layers("g", 17)
    x = b.conv(b.input("x", [1, 16, 8, 8]), 16, 32, relu=False)
    model = b.loaded(b.op("Sqrt", b.op("Relu", x)))
    conv, relu, sqrt = model.graph
    assert Scenario([conv]).readers(conv.output) == [relu]
    assert Scenario([sqrt], {sqrt.output: conv.output}).readers(sqrt.output) == [relu]
    assert Scenario([sqrt], {sqrt.output: conv.output}, removed=[relu]).readers(sqrt.output) == []
    assert Scenario([sqrt]).readers(sqrt.output) == [model.graph]
