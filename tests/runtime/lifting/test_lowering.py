"""The proof of the lowering: what the parser misreads without a word shows, and a crash of the parser is a message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import planish
from planish.compiler.errors import BackendError, OptionError
from planish.models import BUILDERS, TRAINED, build, trained
from planish.runtime.command_line import run
from planish.runtime.lifting.bisection import find_culprit
from planish.runtime.lifting.lowering import compare_network, lower, lowered, refusal
from planish.runtime.parity import ParityReport, Reference

from .networks import model_of

# Read by the parser as something else, and no message says so
MISREAD = {
    "the upper triangle": "(float[3,4] x) => (float[3,4] y) { y = Trilu(x) }",
    "space to depth in CRD order": "(float[1,2,4,4] x) => (float[1,8,2,2] y) "
    "{ y = SpaceToDepth<blocksize = 2, mode = \"CRD\">(x) }",
    "codes without a sign": "(float[6] x) => (uint8[6] y) <float s = {0.1}, uint8 z = {0}> "
    "{ y = QuantizeLinear(x, s, z) }",
    "float64": "(double[3] x) => (double[3] y) { y = Abs(x) }",
    "float8 that does not saturate": "(float[3] x) => (float8e4m3fn[3] y) <float[1] k = {500.0}> "
    "{ b = Mul(x, k) y = Cast<to = 17, saturate = 0>(b) }",
    "squeezing of what may be 1": "(float[n,4] x) => (float[4] y) { y = Squeeze(x) }",
}
OPSETS = {"space to depth in CRD order": 28}
NEWEST = onnx.defs.onnx_opset_version()


def level_2(model: onnx.ModelProto) -> ParityReport:
    with lowered(model) as answer:
        assert not refusal(answer)
        return compare_network(Reference(model), Path(answer.lifted))


@pytest.mark.parametrize("title", [title for title in MISREAD if OPSETS.get(title, 0) <= NEWEST])
def test_what_the_parser_misreads_shows(title: str) -> None:
    report = level_2(model_of(MISREAD[title], OPSETS.get(title, 21)))
    assert report.status == "mismatch", report.reason


def test_shipped_models_are_lowered_right(tmp_path: Path) -> None:
    paths = []
    for name in (*TRAINED, *BUILDERS):
        paths.append(tmp_path / f"{name}.onnx")
        source = trained(name) if name in TRAINED else build(name, 0)
        planish.optimize(source, target="tensorrt", verify="off").save(paths[-1])
    for path, answer in zip(paths, lower(paths, tmp_path), strict=True):
        assert not refusal(answer), f"{path.stem}: {refusal(answer)}"
        report = compare_network(Reference(path), Path(answer.lifted))
        assert report.status == "proven" and answer.layers, f"{path.stem}: {report.reason}"


def test_a_model_that_breaks_the_parser_is_a_message() -> None:
    model = model_of("(float[3] x, float s) => (int8[3] y) <int8 z = {0}> { y = QuantizeLinear(x, s, z) }")
    model.graph.initializer.pop()
    model.graph.node[0].input.pop()
    text = "(float[2,3] x, float s, int8[3,4] w) => (float[2,4] y) { d = DequantizeLinear(w, s) y = MatMul(x, d) }"
    for one in (model, model_of(text)):
        try:
            with lowered(one) as answer:
                assert refusal(answer) or answer.lifted
        except BackendError as error:
            assert "TensorRT crashed" in error.what


def test_what_the_parser_does_not_take_is_said_with_its_node() -> None:
    with lowered(model_of("(float[2,2] x) => (float y) { [d] y = Det(x) }")) as answer:
        assert not answer.taken and "Det d" in refusal(answer)


def test_the_first_node_that_is_computed_otherwise_is_found(tmp_path: Path) -> None:
    model = model_of("(float[3,3] x) => (float[3,3] y) { a = Abs(x) [guilty] t = Trilu(a) b = Exp(t) y = Trilu(b) }")
    found = find_culprit(model)
    assert found.nodes == ["guilty"] and found.value == "t" and "largest difference" in found.problem
    assert [node.name for node in found.model.graph.node] == ["guilty"]
    command = found.save(tmp_path / "shown")
    assert command == (tmp_path / "shown" / "command.txt").read_text().strip()
    assert np.load(tmp_path / "shown" / "inputs.npz")["a"].shape == (3, 3)


def test_the_small_model_keeps_the_open_sizes_that_matter() -> None:
    model = model_of("(float[n,4] x) => (float[4] y) { a = Abs(x) [guilty] s = Squeeze(a) y = Neg(s) }")
    found = find_culprit(model)
    assert found.nodes == ["guilty"]
    assert found.model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"


def test_nothing_is_found_where_nothing_differs() -> None:
    with pytest.raises(OptionError, match="the network computes the same"):
        find_culprit(model_of("(float[3] x) => (float[3] y) { y = Abs(x) }"))


def test_the_command_saves_what_shows_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(model_of("(float[3,3] x) => (float[3,3] y) { a = Abs(x) [guilty] y = Trilu(a) }"), path)
    assert run(["bisect", str(path), "--lowering"]) == 0
    assert "guilty is computed otherwise" in capsys.readouterr().out
    folder = path.with_suffix(".lowering")
    again = ["check", str(folder / "minimal.onnx"), "--lowering", "--samples", str(folder / "inputs.npz")]
    assert run(again) == 6
    assert run(["bisect", str(path)]) == 2
