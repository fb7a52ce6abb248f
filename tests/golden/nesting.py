"""Puts the nodes of a model where passes must work as well: into the branches of an If, and into a local function."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper


def _renamed(nodes: Iterable[NodeProto], names: dict[str, str]) -> list[NodeProto]:
    """Copies of the nodes with values renamed; bodies of these nodes too."""
    copies = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names.get(name, name) for name in node.output]
        for attribute in copy.attribute:
            if attribute.HasField("g"):
                inner = _renamed(attribute.g.node, names)
                del attribute.g.node[:]
                attribute.g.node.extend(inner)
                for info in attribute.g.output:
                    info.name = names.get(info.name, info.name)
        copies.append(copy)
    return copies


def _names_made(nodes: Iterable[NodeProto]) -> list[str]:
    found = []
    for node in nodes:
        found += [name for name in node.output if name]
        for attribute in node.attribute:
            found += _names_made(attribute.g.node) if attribute.HasField("g") else []
    return found


def _handed_on(model: ModelProto) -> list[str]:
    """Outputs that no node makes (inputs, weights): a branch hands them out through an Identity."""
    made = set(_names_made(model.graph.node))
    return [info.name for info in model.graph.output if info.name not in made]


def _branch(model: ModelProto, suffix: str) -> onnx.GraphProto:
    names = {name: f"{name}{suffix}" for name in _names_made(model.graph.node)}
    nodes = _renamed(model.graph.node, names)
    for name in _handed_on(model):
        names[name] = f"{name}{suffix}"
        nodes.append(helper.make_node("Identity", [name], [names[name]]))
    outputs = []
    for info in model.graph.output:
        outputs.append(ValueInfoProto())
        outputs[-1].CopyFrom(info)
        outputs[-1].name = names.get(info.name, info.name)
    return helper.make_graph(nodes, f"branch{suffix}", [], outputs)


def in_branches(model: ModelProto) -> ModelProto:
    """The model with all of its nodes in both branches of an If that an input decides; weights stay outside."""
    wrapped = ModelProto()
    wrapped.CopyFrom(model)
    graph = wrapped.graph
    del graph.node[:]
    graph.input.append(helper.make_tensor_value_info("condition_of_the_case", TensorProto.BOOL, []))
    for info in graph.output:
        info.name += "_handed_on" if info.name in _handed_on(model) else ""
    made = [info.name for info in graph.output]
    branches = {f"{word}_branch": _branch(model, f"_{word}") for word in ("then", "else")}
    graph.node.append(helper.make_node("If", ["condition_of_the_case"], made, name="the_if", **branches))
    return wrapped


def in_function(model: ModelProto) -> ModelProto:
    """The model with all of its nodes in a local function; its weights are constants of the function."""
    wrapped = ModelProto()
    wrapped.CopyFrom(model)
    graph = wrapped.graph
    weights = [t for t in graph.initializer if t.name not in {i.name for i in graph.input}]
    constants = [helper.make_node("Constant", [], [t.name], value=t) for t in weights]
    inputs, outputs = [i.name for i in graph.input], [o.name for o in graph.output]
    body = [*constants, *graph.node]
    imports = list(model.opset_import)
    function = helper.make_function("planish.test", "Case", inputs, outputs, body, imports)
    del graph.node[:]
    del graph.value_info[:]
    kept = [t for t in graph.initializer if t.name in inputs]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.node.append(helper.make_node("Case", inputs, outputs, name="the_call", domain="planish.test"))
    wrapped.opset_import.append(helper.make_opsetid("planish.test", 1))
    wrapped.functions.append(function)
    return wrapped
