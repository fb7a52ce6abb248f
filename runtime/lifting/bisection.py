"""Which node of a model TensorRT's parser turns into something else, down to a small model that shows it.

Values keep their names in the lifted network, so that what both compute on the way can be compared: the first node
whose output differs, while everything that it reads is the same, is the one.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper

from ...compiler.errors import EvaluationError, OptionError
from ..comparison import compare_output
from ..onnxruntime_session import open_session
from ..parity import Reference
from ..samples import Feeds
from .lowering import lowered, refusal
from .worker import LiftAnswer

_AT_ONCE = 32  # values that are kept of one run
_SAMPLES = 4

Lower = Callable[[ModelProto], Any]  # a context manager that gives a LiftAnswer


@dataclass
class Culprit:
    """Where the network first differs.

    nodes: the nodes of the model that are computed otherwise, usually one. value: what they give. problem: how it
    differs. model, feeds: a small model that shows it, and inputs that do.
    """

    nodes: list[str]
    value: str
    problem: str
    model: ModelProto
    feeds: Feeds

    def save(self, folder: Path) -> str:
        """Write minimal.onnx, inputs.npz and command.txt; the command that shows it again."""
        folder.mkdir(parents=True, exist_ok=True)
        model, inputs = (str(folder / name) for name in ("minimal.onnx", "inputs.npz"))
        command = shlex.join(["planish", "check", model, "--lowering", "--samples", inputs])
        onnx.save_model(self.model, model)
        np.savez(inputs, **self.feeds)
        (folder / "command.txt").write_text(command + "\n", encoding="utf-8")
        return command


def find_culprit(
    model: ModelProto, *, samples: Path | None = None, lower: Lower = lowered,
    say: Callable[[str, float], None] = lambda step, share: None,
) -> Culprit:  # fmt: skip
    """The first node that the parser turns into something else.

    Args:
        model: with its weights. samples: real inputs, which are tried first.

    Raises:
        OptionError: the network computes the same, or there is none.
    """
    say("running the model", 0.1)
    reference = Reference(model, samples=samples)
    if not reference.provable:
        raise OptionError(f"nothing can be found out: {reference.reason}")
    say("parsing for TensorRT", 0.2)
    network = _network(model, lower)
    for number, feeds in enumerate(reference.feeds[:_SAMPLES]):
        say(f"comparing values on sample {number}", 0.4)
        found = _first_difference(model, network, feeds)
        if found is not None:
            say("looking for a small model", 0.8)
            return _reduced(model, feeds, *found, lower=lower)
    raise OptionError("the network computes the same", hint="there is nothing to look for")


def _network(model: ModelProto, lower: Lower) -> ModelProto:
    with lower(model) as answer:
        return _read(answer)


def _read(answer: LiftAnswer) -> ModelProto:
    problem = refusal(answer)
    if problem:
        raise OptionError(problem, hint="there is no network to compare with")
    return onnx.load(answer.lifted)


def _first_difference(model: ModelProto, network: ModelProto, feeds: Feeds) -> tuple[NodeProto, set[str], str] | None:
    """The first node with a wrong output, the values that are the same, and how it differs."""
    made = {name for node in network.graph.node for name in node.output}
    common = [name for node in model.graph.node for name in node.output if name and name in made]
    same = {info.name for info in model.graph.input}
    problems: dict[str, str] = {}
    for some in _batches(common):
        want, got = (_values(one, some, feeds) for one in (model, network))
        for name in some:
            problem = compare_output(name, want[name], got[name]).problem if name in want and name in got else ""
            if problem:
                problems[name] = problem
            elif name in want and name in got:
                same.add(name)
    for node in model.graph.node:
        for name in node.output:
            if name in problems:
                return node, same, f"'{name}': {problems[name]}"
    return None


def _batches(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(names), _AT_ONCE):
        yield tuple(names[start : start + _AT_ONCE])


def _values(model: ModelProto, names: Sequence[str], feeds: Feeds) -> dict[str, Any]:
    """What a model computes under these names; those that it cannot compute on these inputs are left out."""
    marked = ModelProto()
    marked.CopyFrom(model)
    known = {info.name for info in marked.graph.output}
    marked.graph.output.extend(ValueInfoProto(name=name) for name in names if name not in known)
    try:
        session = open_session(marked)
        found = dict(zip(session.output_names, session.run(feeds), strict=True))
    except EvaluationError:
        if len(names) == 1:
            return {}
        parts = (_values(model, [name], feeds) for name in names)
        return {name: value for part in parts for name, value in part.items()}
    return {name: found[name] for name in names}


def _reduced(
    model: ModelProto, feeds: Feeds, node: NodeProto, same: set[str], problem: str, *, lower: Lower
) -> Culprit:  # fmt: skip
    """The smallest model around a node that still differs: from values that are the same, or from the inputs on."""
    for cut in (same, {info.name for info in model.graph.input}):
        part = _part(model.graph, node, cut)
        wanted = [name for name in part.inputs if name not in feeds]
        known = {**feeds, **_values(model, wanted, feeds)}
        if any(not isinstance(known.get(name), np.ndarray) for name in part.inputs):
            continue
        own = {name: known[name] for name in part.inputs}
        small = _model_of(model, part, own)
        if _differs(small, own, lower):
            names = [n.name or f"{n.op_type} of {n.output[0]}" for n in part.nodes]
            return Culprit(names, node.output[0], problem, small, own)
    return Culprit([node.name or f"{node.op_type} of {node.output[0]}"], node.output[0], problem, model, feeds)


@dataclass
class _Part:
    nodes: list[NodeProto]
    inputs: list[str]
    outputs: list[str]


def _part(graph: GraphProto, last: NodeProto, cut: set[str]) -> _Part:
    """A node and what it is computed from, as far as the values of the cut."""
    producer = {name: node for node in graph.node for name in node.output}
    weights = {tensor.name for tensor in graph.initializer}
    kept: list[NodeProto] = []
    inputs: dict[str, None] = {}
    waiting = [last]
    while waiting:
        node = waiting.pop()
        if node in kept:
            continue
        kept.append(node)
        for name in _reads(node):
            made_by = producer.get(name)
            if name in weights or not name:
                continue
            if made_by is not None and (name not in cut or made_by.op_type == "Constant"):
                waiting.append(made_by)
            elif made_by is not None or name in cut:
                inputs[name] = None
    order = {name: index for index, node in enumerate(graph.node) for name in node.output}
    kept.sort(key=lambda node: order[node.output[0]])
    return _Part(kept, list(inputs), [name for name in last.output if name])


def _reads(node: NodeProto) -> Iterator[str]:
    """What a node reads, in its bodies too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            made = {i.name for i in (*graph.input, *graph.initializer)} | {o for n in graph.node for o in n.output}
            for inner in graph.node:
                yield from (name for name in _reads(inner) if name not in made)
            yield from (info.name for info in graph.output if info.name not in made)


def _model_of(model: ModelProto, part: _Part, feeds: Feeds) -> ModelProto:
    read = {name for node in part.nodes for name in _reads(node)}
    whole = onnx.shape_inference.infer_shapes(model).graph
    declared = {info.name: info for info in (*whole.value_info, *whole.input)}  # with open sizes: they may matter
    inputs = [
        declared.get(name)
        or helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in read]
    outputs = [ValueInfoProto(name=name) for name in part.outputs]
    graph = helper.make_graph(part.nodes, "minimal", inputs, outputs, weights)
    small = helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version, functions=model.functions
    )
    inferred = onnx.shape_inference.infer_shapes(small)
    types = {info.name: info for info in (*inferred.graph.value_info, *inferred.graph.output)}
    for info in small.graph.output:
        if info.name in types:
            info.CopyFrom(types[info.name])
    return small


def _differs(model: ModelProto, feeds: Feeds, lower: Lower) -> bool:
    try:
        network = _network(model, lower)
        before, after = open_session(model), open_session(network)
        pairs = zip(before.output_names, before.run(feeds), after.run(feeds), strict=True)
        return any(compare_output(name, want, got).problem for name, want, got in pairs)
    except (OptionError, EvaluationError):
        return False
