"""The layers of engines, read from recorded logs; a log in another form fails loudly."""

from __future__ import annotations

from pathlib import Path

import pytest

from planish.compiler.errors import BackendError
from planish.runtime.engines.layers import EngineContent, nodes_in, precision, read_layers

LOGS = Path(__file__).parent / "logs"


def read(name: str, *nodes: str) -> EngineContent:
    return read_layers([("VERBOSE", (LOGS / f"{name}.txt").read_text())], nodes)


def test_kernels_with_their_nodes() -> None:
    content = read("conv_relu", "conv", "relu", "odd", "mul")
    assert [(layer.kind, layer.nodes, layer.role) for layer in content.layers] == [
        ("kgen", (), "reformat"), ("correlation", ("conv", "relu"), "compute"), ("kgen", ("odd", "mul"), "compute"),
    ]
    conv = content.layers[1]
    assert (conv.name, conv.stream, conv.tactic) == ("conv_myl0_1", 0, "__myelin_CASK_STUB")
    assert [(t.shape, t.dtype) for t in conv.inputs] == [((1, 4, 8, 8), "Float")]
    assert [t.shape for t in conv.constants] == [(8, 4, 3, 3), (1,), (1,)]
    assert conv.inputs[0].format == "(NHWC) Channel major format"
    assert content.bindings == {"x": ("Input", "Float", (1, 4, 8, 8)), "y": ("Output", "Float", (1, 8, 8, 8))}
    assert content.dtypes() == {"Float": 3} and content.roles() == {"compute": 2, "reformat": 1}


def test_int8_kernels() -> None:
    content = read("int8_conv", "q", "dq", "wdq", "conv", "relu")
    assert [precision(layer) for layer in content.layers] == ["Float", "Int8", "Float"]
    assert content.layers[1].nodes == ("conv", "dq", "wdq") and content.layers[1].constants[0].dtype == "Int8"


@pytest.mark.parametrize(
    "kind, more",
    [
        ("signal", "EventId: 27, "), ("wait", "EventId: 27, "), ("shape_call", ""),
        ("cjmp", "JumpTargetThen: __myl_Resh_myl0_7, JumpTargetElse: $$(Unnamed Loop* 0)^2_to_add_myl0_14, "),
    ],
)
def test_steps_between_kernels_are_none(kind: str, more: str) -> None:
    text = (LOGS / "conv_relu.txt").read_text()
    tensors = "Inputs: [], Constants: [], Outputs: []"
    step = f"Name: entry^2_myl0_0, LayerType: {kind}, {tensors}, TacticName: , StreamId: 0, {more}Metadata: "
    content = read_layers([("VERBOSE", text.replace("Layers:", f"Layers:\n{step}", 1))], ["conv", "relu"])
    assert [layer.is_kernel for layer in content.layers] == [False, True, True, True]
    assert content.dtypes() == {"Float": 3}


@pytest.mark.parametrize(
    "metadata, nodes, found",
    [
        ("", [], ()),
        ("[ONNX Layer: a][ONNX Layer: b][ONNX Layer: a]", ["a", "b"], ("a", "b")),
        ("[ONNX Layer: a[0]][ONNX Layer: b | c]", ["a[0]", "b | c"], ("a[0]", "b | c")),
        ("[ONNX Layer: inner | caller (F)]", ["caller"], ("caller",)),
    ],
)
def test_names_of_nodes_may_hold_anything(metadata: str, nodes: list[str], found: tuple[str, ...]) -> None:
    assert nodes_in(metadata, nodes) == found


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("Layers:", "Kernels:", "no part 'Layers:'"),
        ("I/O Tensors:", "Bindings:", "no part 'I/O Tensors:'"),
        ("LayerType: correlation", "Type: correlation", "this is no layer"),
        ("Datatype: Float", "Type: Float", "these are no tensors"),
        ("Dimensions: [1,4,8,8], Strides", "Dimensions: [1,4,8,E], Strides", "this is no shape"),
        ("IOMode: Input", "Mode: Input", "this is no input or output"),
        ("Metadata: ", "Nodes: ", "this is no layer"),
    ],
)
def test_a_log_in_another_form_fails_loudly(old: str, new: str, complaint: str) -> None:
    text = (LOGS / "conv_relu.txt").read_text()
    assert old in text
    with pytest.raises(BackendError, match="another form than is known") as raised:
        read_layers([("VERBOSE", text.replace(old, new, 1))], [])
    assert complaint in raised.value.what


def test_a_log_without_detailed_verbosity_fails_loudly() -> None:
    with pytest.raises(BackendError, match="names of layers only"):
        read("conv_relu_names_only")
    with pytest.raises(BackendError, match="no part 'Layers:'"):
        read_layers([("INFO", "Engine generation completed")], [])
