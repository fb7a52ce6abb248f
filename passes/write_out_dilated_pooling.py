"""write-out-dilated-pooling: an average over spread windows is a convolution with equal weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter

_TYPES = frozenset({dtypes.FLOAT, dtypes.FLOAT16})


@dataclass(frozen=True)
class WriteOutDilatedPooling(RewritePass):
    """Replace an AveragePool with dilations by a Conv of every channel with equal weights.

    Before => After
        y = AveragePool(x, kernel_shape=[2, 2], dilations=[2, 2])   =>   y = Conv(x, w, group=C, dilations=[2, 2])
                                                                         w = 1/4 everywhere

    TensorRT reads no dilations of pools. It is part of the pipeline `tensorrt`.

    Legal when
        The number of channels is known, the type is float32 or float16, the size is rounded down, and every window
        counts as many elements: there is no padding, or padding counts.

    Pays when
        Always: the model could not be built.

    Numerics
        Every element is divided before they are added instead of after.
    """

    name: ClassVar[str] = "write-out-dilated-pooling"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("AveragePool", where=lambda node: any(d != 1 for d in node.ints_attr("dilations") or ())),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        x, kernel = node.inputs[0], node.ints_attr("kernel_shape")
        channels = None if x is None or x.shape is None or len(x.shape) < 3 else x.shape[1]
        if x is None or not isinstance(channels, int) or not channels or not kernel:
            rewriter.refuse("the number of channels is not known")
        if x.dtype not in _TYPES:
            rewriter.refuse(f"it is of {dtypes.name_of(x.dtype)}")
        if node.int_attr("ceil_mode", 0):
            rewriter.refuse("the size is rounded up")
        padded = any(node.ints_attr("pads") or ()) or node.str_attr("auto_pad", "NOTSET").startswith("SAME")
        if padded and not node.int_attr("count_include_pad", 0):
            rewriter.refuse("windows at the border count fewer elements")
        share = np.full((channels, 1, *kernel), 1 / math.prod(kernel), dtypes.to_numpy(x.dtype))
        kept = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")
        attributes = {key: value for key, value in node.attributes.items() if key in kept}
        weight = rewriter.constant(share, f"{node.label}_share")
        rewriter.replace(node.output, rewriter.op("Conv", [x, weight], attributes, group=channels, name=node.name))
