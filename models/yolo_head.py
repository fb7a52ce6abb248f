"""A YOLOv8-like detector (small), as Ultralytics' exporter writes it: convolutions already carry their biases.

C2f blocks (Split, bottlenecks, Concat), a pooling pyramid, a neck that goes up by nearest Resize and down by
strided convolutions, and the decoded head: box distances by a softmax over bins, the sides taken apart by Slices
whose middle is computed from a Shape, class scores through Sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from .graph_builder import GraphBuilder
from .layers import conv, dimension, silu, slice_, unsqueeze

SIZE = 64
CLASSES = 6
BINS = 8
STRIDES = (8, 16, 32)


def _conv(b: GraphBuilder, x: str, channels: int, features: int, kernel: int, name: str, stride: int = 1) -> str:
    with b.scope(name):
        return silu(b, conv(b, x, channels, features, kernel, stride=stride, bias=True))


def _c2f(b: GraphBuilder, x: str, channels: int, features: int, repeats: int, shortcut: bool, name: str) -> str:
    half = features // 2
    with b.scope(name):
        x = _conv(b, x, channels, features, 1, "cv1")
        parts = b.ops("Split", x, b.constant([half, half]), outputs=2, axis=1)
        for repeat in range(repeats):
            with b.scope(f"m.{repeat}"):
                out = _conv(b, _conv(b, parts[-1], half, half, 3, "cv1"), half, half, 3, "cv2")
                parts.append(b.op("Add", parts[-1], out) if shortcut else out)
        return _conv(b, b.op("Concat", *parts, axis=1), half * len(parts), features, 1, "cv2")


def _pooling_pyramid(b: GraphBuilder, x: str, channels: int, name: str) -> str:
    with b.scope(name):
        levels = [_conv(b, x, channels, channels // 2, 1, "cv1")]
        for _ in range(3):
            levels.append(b.op("MaxPool", levels[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4, ceil_mode=0,
                               dilations=[1, 1]))  # fmt: skip
        return _conv(b, b.op("Concat", *levels, axis=1), channels * 2, channels, 1, "cv2")


def _upsample(b: GraphBuilder, x: str, name: str) -> str:
    scales = b.constant([1.0, 1.0, 2.0, 2.0])
    return b.op("Resize", x, "", scales, name=name, coordinate_transformation_mode="asymmetric", mode="nearest",
                cubic_coeff_a=-0.75, nearest_mode="floor")  # fmt: skip


def _pyramid(b: GraphBuilder, image: str) -> list[tuple[str, int]]:
    """Backbone and neck: three maps with their channels, at strides 8, 16 and 32."""
    x = _conv(b, image, 3, 8, 3, "model.0", 2)
    x = _c2f(b, _conv(b, x, 8, 16, 3, "model.1", 2), 16, 16, 1, True, "model.2")
    p3 = _c2f(b, _conv(b, x, 16, 24, 3, "model.3", 2), 24, 24, 2, True, "model.4")
    p4 = _c2f(b, _conv(b, p3, 24, 32, 3, "model.5", 2), 32, 32, 2, True, "model.6")
    p5 = _c2f(b, _conv(b, p4, 32, 48, 3, "model.7", 2), 48, 48, 1, True, "model.8")
    p5 = _pooling_pyramid(b, p5, 48, "model.9")
    x = b.op("Concat", _upsample(b, p5, "model.10"), p4, name="model.11", axis=1)
    up4 = _c2f(b, x, 80, 32, 1, False, "model.12")
    x = b.op("Concat", _upsample(b, up4, "model.13"), p3, name="model.14", axis=1)
    out3 = _c2f(b, x, 56, 24, 1, False, "model.15")
    x = b.op("Concat", _conv(b, out3, 24, 24, 3, "model.16", 2), up4, name="model.17", axis=1)
    out4 = _c2f(b, x, 56, 32, 1, False, "model.18")
    x = b.op("Concat", _conv(b, out4, 32, 32, 3, "model.19", 2), p5, name="model.20", axis=1)
    return [(out3, 24), (out4, 32), (_c2f(b, x, 80, 48, 1, False, "model.21"), 48)]


def _anchors() -> tuple[np.ndarray, np.ndarray]:
    """Cell centres [1, 2, cells] and strides [1, cells] of the three maps."""
    centres, strides = [], []
    for stride in STRIDES:
        axis = np.arange(SIZE // stride, dtype=np.float32) + 0.5
        rows, columns = np.meshgrid(axis, axis, indexing="ij")
        centres.append(np.stack([columns.ravel(), rows.ravel()]))
        strides.append(np.full(axis.size**2, stride, np.float32))
    return np.concatenate(centres, axis=1)[None], np.concatenate(strides)[None]


def _decode(b: GraphBuilder, distances: str) -> str:
    """Boxes (centre, size) from the distances to the left, top, right and bottom side, [1, 4 * BINS, cells]."""
    cells = sum((SIZE // stride) ** 2 for stride in STRIDES)
    x = b.op("Reshape", distances, b.constant([1, 4, BINS, cells]))
    x = b.op("Softmax", b.op("Transpose", x, perm=[0, 2, 1, 3]), axis=1)
    bins = b.weight("dfl.conv.weight", np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1))
    x = b.op("Conv", x, bins, name="dfl/conv", kernel_shape=[1, 1], pads=[0] * 4, strides=[1, 1], group=1)
    x = b.op("Reshape", x, b.constant([1, 4, cells]))
    half = b.op("Div", b.op("Add", dimension(b, x, 1), b.constant(1)), b.constant(2))
    middle = unsqueeze(b, half, 0)
    end = unsqueeze(b, b.op("Mul", half, b.constant(2)), 0)
    centres, strides = _anchors()
    anchor = b.weight("anchors", centres)
    low = b.op("Sub", anchor, slice_(b, x, 0, middle, 1))
    high = b.op("Add", anchor, slice_(b, x, middle, end, 1))
    centre = b.op("Div", b.op("Add", low, high), b.constant(2.0))
    boxes = b.op("Concat", centre, b.op("Sub", high, low), axis=1)
    return b.op("Mul", boxes, b.weight("strides", strides))


def _head(b: GraphBuilder, maps: Sequence[tuple[str, int]]) -> str:
    flat = []
    for level, (x, channels) in enumerate(maps):
        box = _conv(b, x, channels, 16, 3, f"cv2.{level}.0")
        box = conv(b, _conv(b, box, 16, 16, 3, f"cv2.{level}.1"), 16, 4 * BINS, 1, bias=True, name=f"cv2.{level}.2")
        score = _conv(b, x, channels, 16, 3, f"cv3.{level}.0")
        score = conv(b, _conv(b, score, 16, 16, 3, f"cv3.{level}.1"), 16, CLASSES, 1, bias=True, name=f"cv3.{level}.2")
        merged = b.op("Concat", box, score, axis=1)
        flat.append(b.op("Reshape", merged, b.constant([1, 4 * BINS + CLASSES, -1])))
    joined = b.op("Concat", *flat, axis=2)
    distances, scores = b.ops("Split", joined, b.constant([4 * BINS, CLASSES]), outputs=2, axis=1)
    return b.op("Concat", _decode(b, distances), b.op("Sigmoid", scores), axis=1)


def yolo_head(seed: int = 0) -> onnx.ModelProto:
    """image [1, 3, 64, 64] -> predictions [1, 4 + 6, 84]: a box (centre, size) and six scores for each cell."""
    b = GraphBuilder("yolo_head", opset=17, seed=seed)
    maps = _pyramid(b, b.input("image", [1, 3, SIZE, SIZE]))
    with b.scope("model.22"):
        predictions = _head(b, maps)
    b.output(predictions, "predictions", [1, 4 + CLASSES, 84])
    return b.model(__doc__ or "")
