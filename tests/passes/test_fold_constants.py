"""Folding: what the golden files cannot show (limits of a whole run, weights that are not read, hostile models)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import helper, numpy_helper

from planish.compiler.tensor import Tensor
from planish.runtime.optimize import optimize

HEADER = '<ir_version: 10, opset_import: ["" : 17]>\n'


def test_the_budget_is_for_the_whole_run() -> None:
    text = """g (float[N,64] x, float[64,64] z) => (float[N,64] y) <int64[2] shape = {64, 64}> {
        c = ConstantOfShape <value = float[1] {2}> (shape)
        d = Add (c, z)
        e = ConstantOfShape <value = float[1] {3}> (shape)
        f = Mul (d, e)
        y = MatMul (x, f)
    }"""
    model = onnx.parser.parse_model(HEADER + text)
    result = optimize(model, passes="fold-constants", fold_budget=20000, verify="off")
    assert [n.op for n in result.model.nodes()] == ["ConstantOfShape", "Add", "Mul", "MatMul"]
    assert "the file would grow by 16384 bytes" in {r.text for r in result.remarks}


def test_nothing_divides_an_integer_by_zero() -> None:
    text = """g (int64[2] x) => (int64[2] y) <int64[2] a = {1, 2}, float[2] b = {0.1, 0.2}> {
        c = Exp (b)
        d = Floor (b)
        e = Cast <to = 7> (d)
        f = Div (a, e)
        y = Add (x, f)
    }"""
    result = optimize(onnx.parser.parse_model(HEADER + text), verify="off")
    assert "Div" in [n.op for n in result.model.nodes()]
    assert "an integer is divided by 0, or the quotient does not fit" in {r.text for r in result.remarks}


def external_model(folder: Path, rows: int) -> Path:
    weight = numpy_helper.from_array(np.ones((1, rows, 64), np.float32), "w")
    axes = numpy_helper.from_array(np.array([0], np.int64), "axes")
    nodes = [helper.make_node("Squeeze", ["w", "axes"], ["s"]), helper.make_node("MatMul", ["x", "s"], ["y"])]
    infos = [helper.make_tensor_value_info(n, 1, ["N", k]) for n, k in (("x", rows), ("y", 64))]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], [weight, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="model.data", size_threshold=100)
    return path


def test_reshapes_of_external_weights_read_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = external_model(tmp_path, 512)
    decode = Tensor._decode
    monkeypatch.setattr(
        Tensor, "_decode", lambda self: decode(self) if self.size < 9 else pytest.fail(f"{self!r} was decoded")
    )
    result = optimize(path, passes="fold-constants", verify="off")
    monkeypatch.undo()
    (constant,) = [v.tensor for v in result.model.graph.initializers if v.tensor.size > 9]
    assert constant is not None and constant.external is not None and constant.shape == (512, 64)
    result.save(tmp_path / "out.onnx")
    saved = onnx.load(str(tmp_path / "out.onnx"))
    assert np.array_equal(numpy_helper.to_array(saved.graph.initializer[-1]), np.ones((512, 64)))


def test_a_reshaped_tensor_keeps_its_elements() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    for tensor in (Tensor.from_array(array), Tensor.from_proto(numpy_helper.from_array(array, "t"))):
        for again in (tensor.reshaped((3, 2)), tensor.reshaped((3, 2)).reshaped((3, 2))):
            assert np.array_equal(again.numpy(), array.reshape(3, 2))
            assert np.array_equal(numpy_helper.to_array(again.to_proto("u")), array.reshape(3, 2))
            assert again.digest() == Tensor.from_array(array.reshape(3, 2)).digest() != tensor.digest()
        with pytest.raises(ValueError, match="cannot have shape"):
            tensor.reshaped((4,))
