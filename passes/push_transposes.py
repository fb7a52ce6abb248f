"""push-transposes: Transposes move through a region to where the fewest and smallest are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import Context, Pass
from .layout.relayout import improve_regions


@dataclass(frozen=True)
class PushTransposes(Pass):
    """Choose the layout of all operators between some Transposes together, so that the fewest Transposes are left.

    Before => After
        T(Relu(T'(x)))                                  =>   Relu(x)                        T' the inverse of T
        Concat(T(a), T(b), axis 3)                      =>   T(Concat(a, b, axis 1))
        ReduceMean(T(x), axes [1, 2], keepdims 0)       =>   ReduceMean(x, axes [2, 3], keepdims 0)
        Add(T(x), w[C]), then T'                        =>   Add(x, w[C,1,1])
        Softmax(T(x), axis -1)                          =>   T(Softmax(x, axis 1))          where T then cancels

    Covers elementwise operators with broadcast operands (constants are transposed), Concat, Split, Pad, Slice, Gather
    of one position or a list, reductions and ArgMax with and without keepdims, Softmax, LogSoftmax and Hardmax,
    Squeeze, Unsqueeze, Resize, Upsample, Expand, Tile, CumSum, TopK, quantization per tensor and per axis, MatMul over
    leading axes, norms whose axes stay in place, and Conv and pooling where spatial axes change places. A Reshape or
    another Transpose at the border takes in the permutation where both together are one view.

    Legal when
        Every operator that changes has all its axes, pads or scales as constants, and its tensors a known rank. Softmax
        below opset 13 normalizes over all axes from its own on, which must stay together at the end. Resize that
        interpolates may only become one that leaves the first two axes alone, which is what runtimes take.

    Pays when
        The number of Transposes in the region falls, or stays and they move fewer bytes (a symbolic extent counts as
        16); and the fewer ones do not move more than twice the bytes. The choice is a minimum cut, so no better one of
        this kind exists. Choosing again finds nothing.

    Numerics
        Unchanged, but for the order in which reductions sum.
    """

    name: ClassVar[str] = "push-transposes"

    def run(self, context: Context, since: int) -> None:
        improve_regions(self, context, ("Transpose",), "Transposes")
