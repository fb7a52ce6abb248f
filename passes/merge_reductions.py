"""merge-reductions: a reduction takes in what only adds, drops or reduces further axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference import content_of
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter
from .recognition.reductions import (
    POOLS_AND_REDUCTIONS,
    REDUCTIONS,
    axes_of,
    keeps_dims,
    kind_of,
    reduced_shape,
    reduction,
)
from .values.readers import refuse_other_readers

_VIEWS = "Reshape|Squeeze|Unsqueeze|Flatten"
_ALWAYS = frozenset({"ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"})
_FLOATS_ONLY = frozenset({"ReduceMean", "ReduceL2", "ReduceLogSumExp"})  # integers are rounded in between


@dataclass(frozen=True)
class MergeReductions(RewritePass):
    """Merge a reduction with what follows: a view that only toggles keepdims, or a reduction of the same kind.

    Before => After
        y = Unsqueeze(ReduceMean(x, axes=1, keepdims=0), 1)     =>   y = ReduceMean(x, axes=1, keepdims=1)
        y = Flatten(GlobalAveragePool(x))                       =>   y = ReduceMean(x, axes=[2, 3], keepdims=0)
        y = ReduceMax(ReduceMax(x, axes=3), axes=2)             =>   y = ReduceMax(x, axes=[2, 3])

    The view may be a Reshape, Squeeze, Unsqueeze or Flatten.

    Legal when
        The view's output has, as proven by inference, the shape that the other value of keepdims gives, or its axes
        are spelled as the reduction's; the inner result has no other reader. Sum, Max, Min, Prod and L1 may be nested
        in any type. Mean, L2 and LogSumExp only in floating types: integers would be rounded in between. A mean of
        means is the mean because all groups are equally large.

    Pays when
        It saves a node: always.

    Numerics
        Views: unchanged. Nested reductions: the sum is associated differently.
    """

    name: ClassVar[str] = "merge-reductions"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("|".join(sorted(REDUCTIONS | set(_VIEWS.split("|"))))),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        source = root.inputs[0]
        inner = None if source is None else source.producer
        if inner is None or inner.op not in _INNER or inner.graph is not root.graph:
            rewriter.refuse("")
        rewriter.include([inner])
        if root.op in REDUCTIONS:
            self._nested(root, inner, rewriter)
        else:
            self._view(root, inner, rewriter)

    def _view(self, view: Node, inner: Node, rewriter: Rewriter) -> None:
        x, keep = inner.inputs[0], not keeps_dims(inner)
        if x is None or not (_has_toggled_shape(view, inner) or _spelled_alike(view, inner)):
            rewriter.refuse("")
        refuse_other_readers(inner.output, rewriter)
        axes = axes_of(inner)
        if axes is not None:
            merged = reduction(kind_of(inner), x, axes, keep, rewriter, inner.name)
        else:
            merged = rewriter.clone(inner, inner.inputs)
            assert merged.producer is not None
            merged.producer.set_attribute("keepdims", int(keep))
        rewriter.replace(view.output, merged)

    def _nested(self, outer: Node, inner: Node, rewriter: Rewriter) -> None:
        kind, x = kind_of(outer), inner.inputs[0]
        if x is None or kind != kind_of(inner) or kind not in _ALWAYS | _FLOATS_ONLY:
            rewriter.refuse("")
        if kind in _FLOATS_ONLY and x.dtype not in dtypes.FLOATING:
            rewriter.refuse(f"{kind} of integers is rounded in between")
        refuse_other_readers(inner.output, rewriter)
        first, second = axes_of(inner), axes_of(outer)
        if first is None or second is None or x.shape is None:
            rewriter.refuse("the axes are not known")
        if not keeps_dims(inner):
            left = [axis for axis in range(len(x.shape)) if axis not in first]
            second = tuple(left[axis] for axis in second)
        axes = sorted({*first, *second})
        if not axes:
            rewriter.refuse("")
        for keep in (True, False):
            if reduced_shape(x.shape, axes, keep) == outer.output.shape:
                rewriter.replace(outer.output, reduction(kind, x, axes, keep, rewriter, outer.name))
                return
        rewriter.refuse("one reduction keeps its axes and the other does not")


_INNER = frozenset(POOLS_AND_REDUCTIONS.split("|"))


def _has_toggled_shape(view: Node, inner: Node) -> bool:
    axes, x = axes_of(inner), inner.inputs[0]
    if axes is None or x is None or x.shape is None:
        return False
    return bool(axes) and view.output.shape == reduced_shape(x.shape, axes, not keeps_dims(inner))


def _spelled_alike(view: Node, inner: Node) -> bool:
    """Whether a Squeeze or Unsqueeze names the axes of the reduction, so that the rank does not matter."""
    if inner.op not in REDUCTIONS or view.op != ("Squeeze" if keeps_dims(inner) else "Unsqueeze"):
        return False
    named, reduced = _axes_as_written(view), _axes_as_written(inner)
    same_end = all(a >= 0 for a in reduced) or all(a < 0 for a in reduced)
    return bool(reduced) and same_end and len(set(reduced)) == len(reduced) and sorted(named) == sorted(reduced)


def _axes_as_written(node: Node) -> list[int]:
    attribute: tuple[object, ...] | None = node.ints_attr("axes")
    value: Value | None = node.input(1)
    written = attribute if attribute is not None else content_of(value)
    numbers = [axis for axis in written or () if isinstance(axis, int)]
    return numbers if written is not None and len(numbers) == len(written) else []
