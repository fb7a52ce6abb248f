"""An ONNX model with an engine inside, for ONNX Runtime's provider of TensorRT-RTX. Experimental.

The file has one node, EPContext, which holds the engine; the provider loads it where there is a GPU. That has not been
tried: on a machine without a GPU the provider offers no device.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import ModelProto, TypeProto, ValueInfoProto, helper

from ...compiler.atomic_files import replace_files
from ...compiler.errors import ModelError, OptionError, OutputError
from .structure import ENGINE_DTYPES

PROVIDER = "NvTensorRTRTXExecutionProvider"
_PROTOBUF_LIMIT = 2**31 - 1


def ep_context_model(plan: bytes, made: dict[str, Any]) -> ModelProto:
    """The model of an engine and its report; inputs and outputs are the engine's.

    Raises:
        OptionError: the engine is not of TensorRT-RTX. OutputError: it is too big to stand in a model.
    """
    if made["backend"]["flavor"] != "tensorrt-rtx":
        raise OptionError("a model with an engine inside is for engines of tensorrt-rtx")
    if len(plan) > _PROTOBUF_LIMIT - (1 << 20):
        raise OutputError("the engine is too big to stand in an ONNX model, which holds 2 GiB")
    infos = {name: _info(name, dtype, shape) for name, (_, dtype, shape) in made["bindings"].items()}
    inputs, outputs = (
        [infos[name] for name, (mode, _, _) in made["bindings"].items() if mode == kind] for kind in ("Input", "Output")
    )
    name = Path(made["source"]).name
    node = helper.make_node(
        "EPContext", [info.name for info in inputs], [info.name for info in outputs], name=f"{name}_engine",
        domain="com.microsoft", main_context=1, embed_mode=1, ep_cache_context=plan, source=PROVIDER,
        hardware_architecture=",".join(made["backend"]["compute_capabilities"]), partition_name=name,
        ep_sdk_version=made["backend"]["version"], onnx_model_filename=name,
    )  # fmt: skip
    graph = helper.make_graph([node], f"{name} as an engine", inputs, outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="planish")


def save_ep_context(plan: Path, made: dict[str, Any], target: Path) -> None:
    """Write the model of an engine; whole or not at all."""
    replace_files({target: [ep_context_model(plan.read_bytes(), made).SerializeToString()]})


def _info(name: str, dtype: str, shape: list[int]) -> ValueInfoProto:
    if dtype not in ENGINE_DTYPES:
        raise ModelError(f"{name} is of {dtype}, for which ONNX has no name")
    declared: TypeProto = helper.make_tensor_type_proto(
        int(ENGINE_DTYPES[dtype]), [f"{name}_{axis}" if size < 0 else size for axis, size in enumerate(shape)]
    )
    return helper.make_value_info(name, declared)


def engine_in(model: ModelProto) -> bytes:
    """The engine in such a model.

    Raises:
        ModelError: there is none.
    """
    for node in model.graph.node:
        if node.op_type == "EPContext":
            for attribute in node.attribute:
                if attribute.name == "ep_cache_context":
                    return bytes(attribute.s)
    raise ModelError("the model holds no engine")
