"""The order in which local functions rest on each other."""

from __future__ import annotations

import graphlib

from .errors import ModelError
from .graph import Graph
from .model import FunctionKey, Model


def callees_first(model: Model) -> list[Graph]:
    """The functions, each after those that it calls.

    Raises:
        ModelError: a function calls itself, directly or through others.
    """
    calls: dict[FunctionKey, list[FunctionKey]] = {}
    for key, function in model.functions.items():
        nodes = [node for graph in function.nested_graphs() for node in graph]
        called = dict.fromkeys((node.domain, node.op_type, node.overload) for node in nodes)
        calls[key] = [other for other in called if other in model.functions]
    try:
        return [model.functions[key] for key in graphlib.TopologicalSorter(calls).static_order()]
    except graphlib.CycleError as error:
        key = error.args[1][0]
        raise ModelError("a function calls itself", where="::".join(part for part in key if part)) from error
