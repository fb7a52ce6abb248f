"""What it means that a model survives being read and written."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto

from planish.compiler.inference import infer_model
from planish.compiler.reading import load
from planish.compiler.saving import save
from planish.compiler.verify import verify
from planish.compiler.writing import to_proto

HEADER = '<ir_version: 10, opset_import: ["" : 21]>\n'


def parsed(text: str) -> ModelProto:
    """A model from ONNX's text syntax, IR version 10 and opset 21 unless it says otherwise."""
    return onnx.parser.parse_model(text if text.lstrip().startswith("<") else HEADER + text)


def assert_same(result: ModelProto, original: ModelProto) -> None:
    """Compares the bytes, because a NaN makes equal messages unequal."""
    wanted = original.SerializeToString(deterministic=True)
    assert result.SerializeToString(deterministic=True) == wanted, "a field changed"


def assert_survives(proto: ModelProto, folder: Path) -> None:
    """As a proto and as a file, before and after inference, with its invariants whole."""
    before = proto.SerializeToString(deterministic=True)
    model = load(proto)
    verify(model)
    assert_same(to_proto(model), proto)
    infer_model(model)
    assert_same(to_proto(model), proto)
    save(model, folder / "model.onnx")
    assert_same(onnx.load(folder / "model.onnx", load_external_data=False), proto)
    assert proto.SerializeToString(deterministic=True) == before, "the source was changed"
