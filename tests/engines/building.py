"""Builds small models with TensorRT-RTX in this process, prepared by the pipeline for TensorRT."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
from onnx import ModelProto, numpy_helper

import planish
from planish.runtime.engines.adapter import ParsedNetwork, load_backend, mark_attention_decomposable, parse
from planish.runtime.engines.layers import EngineContent, read_layers


def model_of(text: str, opset: int = 17, **weights: np.ndarray) -> ModelProto:
    """A model from ONNX's text syntax with its weights."""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]> {text}')
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return proto


def prepared(model: ModelProto) -> ModelProto:
    """The model as the pipeline for TensorRT leaves it, its numbers compared with the original's."""
    result = planish.optimize(model, target="tensorrt")
    assert result.parity is not None and result.parity.status == "proven" and not result.held_back, result.parity
    return result.proto()


def engine_of(model: ModelProto, *capabilities: str) -> EngineContent:
    """The engine of a model as it is."""
    parsed = parsed_network(model)
    assert parsed.ok, parsed.messages
    mark_attention_decomposable(parsed)
    config = parsed.backend.config(parsed.builder, parsed.network, compute_capabilities=capabilities)
    assert parsed.builder.build_serialized_network(parsed.network, config) is not None
    return read_layers(parsed.records, [node.name for node in model.graph.node])


def parsed_network(model: ModelProto) -> ParsedNetwork:
    """What the parser says of a model as it is."""
    return parse(load_backend("tensorrt-rtx"), model.SerializeToString())


def inputs_of(content: EngineContent, op: str, model: ModelProto) -> set[str]:
    """Element types that the kernels with a node of an operator read."""
    names = {node.name for node in model.graph.node if node.op_type == op}
    return {tensor.dtype for layer in content.layers if names & set(layer.nodes)
            for tensor in (*layer.inputs, *layer.constants) if tensor.shape not in ((), (1,))}  # fmt: skip
