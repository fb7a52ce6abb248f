"""Takes a model through a tool that loses some of what it does not know, and puts back what the tool lost.

The tool writes the model twice: once untouched (`before`) and once changed (`after`). Whatever is equal in both was not
meant to change, so it is taken from the original as it was: doc strings, metadata, types and attributes that the tool
does not carry, overridable inputs, tensors in other files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from ..compiler.partial_copy import copy_field

Merge = Callable[[Any, Any, Any], Any]


def carry_over(original: ModelProto, before: ModelProto, after: ModelProto) -> ModelProto:
    """`after`, with everything that is the same in `before` as it stands in `original`."""
    result = ModelProto()
    result.CopyFrom(after)
    _restore_fields(result, original, before, after, except_for=("graph", "functions"))
    _graph(result.graph, original.graph, before.graph, after.graph)
    _replace(result, "functions", _merged(original, before, after, "functions", _function_key, _function, lost=True))
    return result


def _restore_fields(result: Any, original: Any, before: Any, after: Any, except_for: Iterable[str]) -> None:
    """Fields that are the same before and after, as in the original."""
    kept = {field.name: content for field, content in original.ListFields()}
    for field in result.DESCRIPTOR.fields:
        name = field.name
        if name not in except_for and getattr(before, name) == getattr(after, name):
            result.ClearField(name)
            if name in kept:
                copy_field(result, name, kept[name])


def _graph(result: GraphProto, original: GraphProto, before: GraphProto, after: GraphProto) -> None:
    merged = ("node", "initializer", "sparse_initializer", "input", "output", "value_info")
    _restore_fields(result, original, before, after, except_for=merged)
    trip = (original, before, after)
    _replace(result, "node", _merged(*trip, "node", _node_key, _node))
    _replace(result, "initializer", _merged(*trip, "initializer", _name, lost=True))
    _replace(result, "sparse_initializer", _merged(*trip, "sparse_initializer", lambda s: s.values.name, lost=True))
    _replace(result, "output", _merged(*trip, "output", _name))
    stored = {t.name for t in result.initializer} | {s.values.name for s in result.sparse_initializer}
    inputs = _merged(*trip, "input", _name, lost=True, added=False)
    meant = stored | {info.name for info in after.input}
    _replace(result, "input", [info for info in inputs if info.name in meant])
    alive = stored | {info.name for info in result.input} | {name for node in result.node for name in node.output}
    infos = _merged(*trip, "value_info", _name, lost=True, added=False)
    _replace(result, "value_info", [info for info in infos if info.name in alive])
    notes = [note for note in result.quantization_annotation if note.tensor_name in alive]
    _replace(result, "quantization_annotation", notes)


def _function(original: FunctionProto, before: FunctionProto, after: FunctionProto) -> FunctionProto:
    result = FunctionProto()
    result.CopyFrom(after)
    _restore_fields(result, original, before, after, except_for=("node",))
    _replace(result, "node", _merged(original, before, after, "node", _node_key, _node))
    return result


def _node(original: NodeProto, before: NodeProto, after: NodeProto) -> NodeProto:
    result = NodeProto()
    result.CopyFrom(after)
    _restore_fields(result, original, before, after, except_for=("attribute",))
    same_op = before.op_type == after.op_type
    attributes = _merged(original, before, after, "attribute", _name, _attribute, lost=same_op)
    _replace(result, "attribute", attributes)
    return result


def _attribute(original: AttributeProto, before: AttributeProto, after: AttributeProto) -> AttributeProto:
    result = AttributeProto()
    result.CopyFrom(after)
    if original.type == before.type == after.type == AttributeProto.GRAPH:
        _graph(result.g, original.g, before.g, after.g)
    return result


def _merged(
    original: Any, before: Any, after: Any, field: str, key: Callable[[Any], Hashable], merge: Merge | None = None,
    *, lost: bool = False, added: bool = True,
) -> list[Any]:  # fmt: skip
    """The items of a repeated field.

    Args:
        key: what makes an item the same one in the three versions.
        merge: makes one item of three where the tool was asked to change it.
        lost: put back what the tool lost, behind its neighbour in the original.
        added: keep what the tool adds to every model by itself.
    """
    originals, befores, afters = (_keyed(getattr(version, field), key) for version in (original, before, after))
    result: dict[Hashable, Any] = {}
    for name, item in afters.items():
        old, untouched = originals.get(name), befores.get(name)
        if old is None or untouched is None:
            if added or untouched is None:
                result[name] = item
        elif untouched == item:
            result[name] = old
        else:
            result[name] = merge(old, untouched, item) if merge is not None else item
    if not lost or all(name in befores for name in originals):
        return list(result.values())
    order = list(result)
    previous: Hashable = None
    for name, item in originals.items():
        if name not in befores and name not in result:
            order.insert(order.index(previous) + 1 if previous in result else 0, name)
            result[name] = item
        previous = name if name in result else previous
    return [result[name] for name in order]


def _keyed(items: Iterable[Any], key: Callable[[Any], Hashable]) -> dict[Hashable, Any]:
    """Items by key and by how often the key has come before."""
    seen: Counter[Hashable] = Counter()
    found: dict[Hashable, Any] = {}
    for item in items:
        name = key(item)
        found[name, seen[name]] = item
        seen[name] += 1
    return found


def _replace(message: Any, field: str, items: Sequence[Any]) -> None:
    message.ClearField(field)
    getattr(message, field).extend(items)


def _name(item: Any) -> str:
    return str(item.name)


def _node_key(node: NodeProto) -> Hashable:
    return tuple(node.output) if any(node.output) else (node.op_type, *node.input)


def _function_key(function: FunctionProto) -> Hashable:
    return function.domain, function.name
