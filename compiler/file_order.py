"""Order of the nodes of a file that does not list them in topological order, as ONNX demands but runtimes overlook."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from onnx import GraphProto, NodeProto

from .attributes import body_protos
from .errors import ModelError


def sorted_protos(protos: Sequence[NodeProto]) -> list[NodeProto]:
    """The nodes with every producer before its readers, otherwise as they stand.

    Raises:
        ModelError: they form a cycle.
    """
    producer = {name: index for index, proto in enumerate(protos) for name in proto.output if name}
    waiting: list[int] = []
    followers: list[list[int]] = [[] for _ in protos]
    for index, proto in enumerate(protos):
        sources = {producer[name] for name in names_read(proto) if name in producer}
        waiting.append(len(sources))
        for source in sources:
            followers[source].append(index)
    ready = [index for index, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for follower in followers[index]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, follower)
    if len(order) < len(protos):
        stuck = protos[next(index for index, count in enumerate(waiting) if count)]
        raise ModelError("the graph has a cycle", where=stuck.name or next(iter(stuck.output), stuck.op_type))
    return [protos[index] for index in order]


def names_read(proto: NodeProto) -> Iterator[str]:
    """Names that a node reads from the graph it lies in, those that its bodies capture included."""
    yield from proto.input
    for attribute in proto.attribute:
        for body in body_protos(attribute):
            yield from captured_names(body)


def captured_names(body: GraphProto) -> Iterator[str]:
    """Names that a body reads and does not define."""
    own = {value.name for value in (*body.input, *body.initializer)}
    own.update(sparse.values.name for sparse in body.sparse_initializer)
    own.update(name for node in body.node for name in node.output)
    for node in body.node:
        for name in names_read(node):
            if name not in own:
                yield name
    for value in body.output:
        if value.name not in own:
            yield value.name
