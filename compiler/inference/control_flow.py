"""If, Loop, Scan and SequenceMap: facts flow into the bodies and come out joined over what may happen.

Inside a body that runs many times a symbol stands for its value in the current iteration. So only what is the same in
every iteration may leave the body: numbers, and expressions over symbols of the enclosing graph.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import dtypes, symbolic
from ..graph import Graph, Node, Shape, Value
from ..symbolic import Dim
from .axes import axis_within
from .engine import infer_graph
from .facts import Facts, content_of, rule, unknown_dim
from .sequences import element_facts

_TRIPS, _BATCH, _ENTRY = 998, 999, 1000  # symbols that are no output's: iterations, batch, the inputs of a body


@rule("If")
def conditional(node: Node) -> Sequence[Facts]:
    for body in node.bodies.values():
        infer_graph(body)
    taken = _taken_branch(node)
    bodies = list(node.bodies.values()) if taken is None else [taken]
    facts = []
    for i in range(len(node.outputs)):
        values = [body.outputs[i] for body in bodies if i < len(body.outputs)]
        facts.append(_join(node, i, values) if len(values) == len(bodies) else Facts())
    return facts


def _taken_branch(node: Node) -> Graph | None:
    condition = content_of(node.input(0))
    if condition is None or len(condition) != 1 or not isinstance(condition[0], int):
        return None
    return node.bodies.get("then_branch" if condition[0] else "else_branch")


def _join(node: Node, output: int, values: Sequence[Value]) -> Facts:
    """What holds for every one of the values."""
    if not values or not all(v.is_tensor for v in values):
        return Facts()
    first = values[0]
    dtype = next((v.dtype for v in values if v.dtype), 0)
    contents = {content_of(v) for v in values}
    content = contents.pop() if len(contents) == 1 else None
    shape = first.shape
    for other in values[1:]:
        shape = _weaken(node, output, shape, other.shape)
    return Facts(dtype, shape, content)


def _weaken(node: Node, output: int, entry: Shape | None, result: Shape | None) -> Shape | None:
    """Equal extents stay, others become unknown; None if the ranks differ."""
    if entry is None or result is None or len(entry) != len(result):
        return None
    if entry == result:
        return entry
    return tuple(a if a == b else unknown_dim(node, output, axis) for axis, (a, b) in enumerate(zip(entry, result)))


def _enter(value: Value, fact: Facts) -> None:
    """Give a body's input what is known at every entry; a declared element type stays."""
    if value.is_tensor:
        value.dtype = fact.dtype or value.dtype
        value.shape, value.content = fact.shape, fact.content


def through_identities(value: Value) -> Value:
    """What a value is a copy of."""
    while value.producer is not None and value.producer.op == "Identity":
        source = value.producer.input(0)
        if source is None:
            break
        value = source
    return value


def _forget(graph: Graph) -> None:
    """Drop shapes and contents that were inferred under a stronger assumption."""
    for nested in graph.nested_graphs():
        for node in nested:
            for value in node.outputs:
                if value is not None:
                    value.shape = value.content = None


def _infer_carried(node: Node, body: Graph, initial: Sequence[Facts], first_in: int, first_out: int) -> None:
    """By induction: assume that carried values keep their shape, infer the body, drop what it contradicts."""
    for i, fact in enumerate(initial):
        entry, result = body.inputs[first_in + i], body.outputs[first_out + i]
        invariant = through_identities(result) is entry
        _enter(entry, fact if invariant else Facts(fact.dtype, fact.shape))
    rounds = 2 + sum(len(fact.shape or ()) for fact in initial)
    for _ in range(min(rounds, 8)):
        _forget(body)
        infer_graph(body)
        stable = True
        for i in range(len(initial)):
            entry, result = body.inputs[first_in + i], body.outputs[first_out + i]
            weaker = _weaken(node, _ENTRY + i, entry.shape, result.shape)
            if weaker != entry.shape:
                entry.shape, stable = weaker, False
        if stable:
            return
    for i in range(len(initial)):
        body.inputs[first_in + i].shape = None
    _forget(body)
    infer_graph(body)


def _outer_symbols(node: Node) -> frozenset[str]:
    """Names of the symbols that have one value during the whole run of the bodies."""
    dims: list[Dim] = []
    for value in [*node.inputs, *node.captured()]:
        if value is not None:
            dims += [*(value.shape or ()), *(value.content or ())]
    return frozenset(name for dim in dims for name in symbolic.symbols(dim))


def _left(node: Node, output: int, shape: Shape | None, outer: frozenset[str]) -> Shape | None:
    """A shape of the body as it is known outside."""
    if shape is None:
        return None
    return tuple(
        d if isinstance(d, int) or symbolic.symbols(d) <= outer else unknown_dim(node, output, axis)
        for axis, d in enumerate(shape)
    )


def _facts_of(value: Value | None) -> Facts:
    return Facts() if value is None else Facts(value.dtype, value.shape, content_of(value))


def _carried_out(node: Node, body: Graph, count: int, first_in: int, outer: frozenset[str]) -> list[Facts]:
    """Final values: what holds before and after every iteration."""
    facts = []
    for i in range(count):
        value = body.inputs[first_in + i]
        facts.append(
            Facts(value.dtype, _left(node, i, value.shape, outer), value.content) if value.is_tensor else Facts()
        )
    return facts


@rule("Loop")
def loop(node: Node) -> Sequence[Facts]:
    body = node.bodies.get("body")
    carried = len(node.inputs) - 2
    if body is None or carried < 0 or len(body.inputs) != carried + 2 or len(body.outputs) <= carried:
        return _unconnected(node)
    _enter(body.inputs[0], Facts(dtypes.INT64, ()))
    _enter(body.inputs[1], Facts(dtypes.BOOL, ()))
    initial = [_facts_of(v) for v in node.inputs[2:]]
    _infer_carried(node, body, initial, 2, 1)
    outer = _outer_symbols(node)
    facts = _carried_out(node, body, carried, 2, outer)
    count, runs = _trip_count(node, body)
    for i in range(carried, min(len(node.outputs), len(body.outputs) - 1)):
        # Without an iteration ONNX Runtime makes the extents 0 that it cannot tell in advance.
        inner = _left(node, i, body.outputs[i + 1].shape, outer if runs else frozenset())
        facts.append(_stacked(node, body.outputs[i + 1].dtype, inner, 0, count))
    return facts


def _unconnected(node: Node) -> Sequence[Facts]:
    """A node whose body does not fit its inputs: nothing is known."""
    for body in node.bodies.values():
        infer_graph(body)
    return ()


def _trip_count(node: Node, body: Graph) -> tuple[Dim | None, bool]:
    """(number of iterations if it is certain, whether there is at least one)."""
    limit, condition = content_of(node.input(0)), content_of(node.input(1))
    trips = limit[0] if limit is not None and len(limit) == 1 else None
    starts = node.input(1) is None or (condition is not None and condition[:1] == (1,))
    at_least_one = starts and (node.input(0) is None or (trips is not None and symbolic.provably_positive(trips)))
    if trips is None or not starts or not _always_goes_on(body):
        return None, at_least_one
    if isinstance(trips, int):
        return max(trips, 0), at_least_one
    return (trips if symbolic.provably_nonnegative(trips) else None), at_least_one


def _always_goes_on(body: Graph) -> bool:
    """True if the body hands on its condition or true, so that only the trip count ends the loop."""
    condition = through_identities(body.outputs[0])
    return condition is body.inputs[1] or content_of(condition) == (1,)


def _stacked(node: Node, dtype: int, shape: Shape | None, axis: int, count: Dim | None) -> Facts:
    """Scan output: the per-iteration shape with the number of iterations as a new axis."""
    place = None if shape is None else axis_within(axis, len(shape) + 1)
    if shape is None or place is None:
        return Facts(dtype)
    extent = unknown_dim(node, _TRIPS, 0) if count is None else count
    return Facts(dtype, (*shape[:place], extent, *shape[place:]))


@rule("Scan")
def scan(node: Node) -> Sequence[Facts]:
    body = node.bodies.get("body")
    scanned = node.int_attr("num_scan_inputs", 0)
    batched = node.version < 9  # opset 8: sequence_lens first, and a batch axis in front of everything
    inputs = node.inputs[1:] if batched else node.inputs
    states = len(inputs) - scanned
    fits = body is not None and states >= 0 and len(body.inputs) == len(inputs)
    if body is None or not fits or len(body.outputs) < max(len(node.outputs), states):
        return _unconnected(node)
    facts_in = [_without_axis(_facts_of(v), 0) if batched else _facts_of(v) for v in inputs]
    length = None
    axes = _axes(node, "scan_input_axes", scanned)
    for i in range(scanned):
        fact = facts_in[states + i]
        axis = None if fact.shape is None else axis_within(axes[i], len(fact.shape))
        if fact.shape is not None and axis is not None and length is None:
            length = fact.shape[axis]
        _enter(body.inputs[states + i], Facts(fact.dtype) if axis is None else _without_axis(fact, axis))
    initial = facts_in[:states]
    _infer_carried(node, body, initial, 0, 0)
    outer = _outer_symbols(node)
    facts = _carried_out(node, body, states, 0, outer)
    out_axes = _axes(node, "scan_output_axes", len(node.outputs) - states)
    for i in range(states, len(node.outputs)):
        inner = _left(node, i, body.outputs[i].shape, outer)
        facts.append(_stacked(node, body.outputs[i].dtype, inner, out_axes[i - states], length))
    return _with_batch(node, inputs, facts) if batched else facts


def _axes(node: Node, name: str, count: int) -> Sequence[int]:
    axes = node.ints_attr(name)
    return axes if axes is not None and len(axes) == count else (0,) * count


def _without_axis(fact: Facts, axis: int) -> Facts:
    shape = fact.shape
    return Facts(fact.dtype, None if not shape else (*shape[:axis], *shape[axis + 1 :]))


def _with_batch(node: Node, inputs: Sequence[Value | None], facts: Sequence[Facts]) -> Sequence[Facts]:
    batch = next((v.shape[0] for v in inputs if v is not None and v.shape), unknown_dim(node, _BATCH, 0))
    return [Facts(f.dtype, None if f.shape is None else (batch, *f.shape)) for f in facts]


@rule("SequenceMap")
def sequence_map(node: Node) -> Sequence[Facts]:
    """The body runs once for every element; what it makes are sequences, of which nothing is noted."""
    body = node.bodies.get("body")
    if body is None or len(body.inputs) != len(node.inputs):
        return _unconnected(node)
    for i, (entry, value) in enumerate(zip(body.inputs, node.inputs)):
        if value is None:
            continue
        if i == 0 or value.dtype == dtypes.UNKNOWN or not value.is_tensor:
            fact = element_facts(node, value, _ENTRY + i)
        else:
            fact = _facts_of(value)
        _enter(entry, fact)
    _forget(body)
    infer_graph(body)
    return ()
