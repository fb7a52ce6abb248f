"""Tensors of a model that are not initializers of a graph: in attributes, sparse tensors and training graphs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TrainingInfoProto

from .attributes import body_protos, tensors_in


def attached_tensors(proto: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of a model that is not an initializer of the main graph or of a body."""
    yield from training_tensors(proto.training_info)
    yield from _attached_in(proto.graph)
    for function in proto.functions:
        yield from _attached_to(function.node)


def training_tensors(infos: Iterable[TrainingInfoProto]) -> Iterator[TensorProto]:
    for training in infos:
        for graph in (training.initialization, training.algorithm):
            yield from graph.initializer
            yield from _attached_in(graph)


def _attached_in(graph: GraphProto) -> Iterator[TensorProto]:
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _attached_to(graph.node)


def _attached_to(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from tensors_in(attribute)
            for body in body_protos(attribute):
                yield from _attached_in(body)
