"""Operators that only view their first input: what each does to a strided view."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...compiler import symbolic
from ...compiler.graph import Node, Value
from ...compiler.inference import content_of
from ...compiler.inference.movement import normalize_axis, slice_ranges, split_sizes
from ...compiler.refusal import Refusal
from .strided_views import Range, View


def view_through(value: Value, view: View) -> View | None:
    """The view that `value` gives of what `view` views, which its producer reads; None where it is no strided one."""
    node = value.producer
    try:
        if node is None:
            return None
        return _split(node, view, value.index) if node.op == "Split" else _VIEWS[node.op](node, view)
    except Refusal:  # an attribute that the function's caller binds, or one of another type
        return None


def view_chain(value: Value, longest: int) -> list[Value]:
    """The value and what it views, step by step, as long as each was made by a view in the same graph."""
    chain = [value]
    while len(chain) < longest:
        producer = chain[-1].producer
        if producer is None or producer.op not in VIEW_OPS or producer.graph is not value.graph:
            break
        source = producer.inputs[0]
        if source is None:
            break
        chain.append(source)
    return chain


def view_along(chain: Sequence[Value]) -> View | None:
    """The first value of such a chain as a view of the last."""
    base = chain[-1].shape
    view = None if base is None else View.whole(base)
    for value in reversed(chain[:-1]):
        view = None if view is None else view_through(value, view)
    return view


def permutation(node: Node, rank: int) -> tuple[int, ...]:
    """The permutation of a Transpose; refuses what is none."""
    order = node.ints_attr("perm") or tuple(reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise Refusal(f"{list(order)} is no permutation of {rank} axes")
    return order


def _identity(node: Node, view: View) -> View | None:
    return view


def _reshape(node: Node, view: View) -> View | None:
    shape = node.output.shape
    return None if shape is None else view.reshaped(shape)


def _transpose(node: Node, view: View) -> View | None:
    return view.transposed(permutation(node, len(view.axes)))


def _slice(node: Node, view: View) -> View | None:
    shape = view.shape
    ranges = slice_ranges(node, len(shape))
    result, target = node.output, node.output.shape
    if ranges is None or target is None or result.rank != len(shape):
        return None
    found: View | None = view
    for axis, (start, _, step) in ranges.items():
        extent = shape[axis]
        if target[axis] == extent and step == 1:
            continue
        if not isinstance(start, int) or (start < 0 and not isinstance(extent, int)) or found is None:
            return None
        first = start
        if isinstance(extent, int):
            first = max(start + extent, 0 if step > 0 else -1) if start < 0 else min(start, extent - (step < 0))
        found = found.sliced(axis, Range(first, step, target[axis]))
    return found


def _gather(node: Node, view: View) -> View | None:
    indices = node.input(1)
    picks = content_of(indices)
    if indices is None or indices.rank not in (0, 1) or not picks or not view.axes:
        return None
    axis = normalize_axis(node.int_attr("axis", 0), len(view.axes))
    extent = view.shape[axis]
    numbers = [pick for pick in picks if isinstance(pick, int)]
    if len(numbers) < len(picks):
        return None
    if isinstance(extent, int):
        numbers = [pick + extent if pick < 0 else pick for pick in numbers]
    elif numbers[0] < 0 and (len(numbers) > 1 or not view.is_untouched(axis)):
        return None  # counted from an end that is not known
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if step == 0 or numbers != list(range(numbers[0], numbers[0] + step * len(numbers), step)):
        return None
    part = view.sliced(axis, Range(numbers[0], step, len(numbers)))
    if part is None or indices.rank == 1:
        return part
    return View(part.base, (*part.axes[:axis], *part.axes[axis + 1 :]), part.starts)


def _split(node: Node, view: View, output: int) -> View | None:
    if not view.axes:
        return None
    axis = normalize_axis(node.int_attr("axis", 0), len(view.axes))
    sizes = split_sizes(node, view.shape[axis])
    start = None if sizes is None else symbolic.total(sizes[:output])
    return view.sliced(axis, Range(start, 1, sizes[output])) if sizes is not None and isinstance(start, int) else None


_VIEWS: dict[str, Callable[[Node, View], View | None]] = {
    "Identity": _identity,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Transpose": _transpose,
    "Slice": _slice,
    "Gather": _gather,
}
VIEW_OPS = frozenset({*_VIEWS, "Split"})
