"""`planish check`: what is the same passes, what is not fails, and each level says what it proves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

from planish.compiler.errors import EvaluationError, OptionError
from planish.runtime.checking import check as checks
from planish.runtime.checking.check import CheckReport, check
from planish.runtime.checking.engine import EngineRunner, engine_of
from planish.runtime.checking.measures import Measures, measure
from planish.runtime.command_line import run

ADD = "(float[n,3] x) => (float[n,3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }"


def model_of(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]>\ng {text}')


def compared(other: str, first: str = ADD, **options: Any) -> CheckReport:
    return check(model_of(first), model_of(other), **options)


@pytest.mark.parametrize(("other", "said"), [
    (ADD.replace("3}", "3.1}"), "largest difference"),
    (ADD.replace("y)", "z)").replace("y =", "z ="), "outputs"),
    ("(float[n,3] x) => (float16[n,3] y) { a = Add(x, x) y = Cast<to = 10>(a) }", "outputs"),
    ("(float[n,3] x) => (float[k,n] y) { y = Transpose(x) }", "shape"),
    (ADD.replace("y = Add(x, w)", "a = Add(x, w) b = Sub(a, a) c = Div(b, b) y = Add(a, c)"), "NaN"),
    ("(float[n,3] x) => (float[n,3] y, float[n,3] z) <float[3] w = {1, 2, 3}> { y = Add(x, w) z = Neg(x) }", "outputs"),
    ("(float[n,3] x, float[n,3] u) => (float[n,3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }", "inputs"),
    ("(float[n,3] x) => (float[n,3] y) { y = Unheard(x) }", "does not load"),
])  # fmt: skip
def test_what_differs_fails(other: str, said: str) -> None:
    report = compared(other)
    assert not report.passed and report.levels["L1"].status == "mismatch" and said in report.levels["L1"].reason


def test_what_is_the_same_passes_with_its_numbers() -> None:
    report = compared(ADD.replace("Add(x, w)", "Add(w, x)"))
    (output,) = report.levels["L1"].outputs
    assert report.passed and output.measures == Measures(0.0, 0.0, output.measures.cosine, float("inf"), 1.0)
    assert output.tolerance == 1e-4 and report.levels["L3"].status == "proven"


def test_interfaces_are_compared_where_nothing_can_be_run() -> None:
    text = "(float[n,3] x) => (float[n,3] y) { y = Neg(x) }"
    report = compared(text.replace("3", "4"), text)
    assert report.levels["L3"].status == "mismatch" and not report.passed


def test_tolerances_by_output_stand_for_those_of_the_types() -> None:
    other = ADD.replace("3}", "3.01}")
    assert not compared(other).passed
    assert compared(other, tolerances={"": 1e-1}).passed and compared(other, tolerances={"y": 1e-1}).passed
    assert not compared(other, tolerances={"": 1e-1, "y": 1e-6}).passed
    with pytest.raises(OptionError, match="no output 'q'"):
        compared(other, tolerances={"q": 1.0})


def test_what_changes_numbers_on_purpose_is_judged_as_a_whole() -> None:
    other = ADD.replace("3}", "3.01}")
    assert compared(other, effect="lossy").passed
    assert "cosine" in compared(ADD.replace("3}", "5}"), effect="lossy").levels["L1"].reason
    assert not compared("(float[n,3] x) => (float[k,n] y) { y = Transpose(x) }", effect="lossy").passed


def test_a_metric_of_the_users_own() -> None:
    def far(want: dict[str, Any], got: dict[str, Any]) -> float:
        return float(np.nanmax(np.abs(want["y"] - got["y"]), initial=0))

    report = compared(ADD, metrics={"far": far, "near": lambda want, got: bool(far(want, got) < 1)})
    assert report.passed and set(report.levels["L1"].metrics["far"]) == {0.0}
    report = compared(ADD, metrics={"never": lambda want, got: False})
    assert not report.passed and "metric never" in report.levels["L1"].reason
    with pytest.raises(OptionError, match="metric broken failed"):
        compared(ADD, metrics={"broken": lambda want, got: want["q"]})


def test_an_output_that_never_changes_is_remarked() -> None:
    text = "(float[n,3] x) => (float[n,3] y) { a = Abs(x) y = Clip(a, l, l) }"
    text = text.replace("{ a", "<float l = {0.5}> { a")
    assert any("the same on all inputs" in note for note in compared(text, text).levels["L1"].notes)


def test_measures() -> None:
    want = np.array([[1.0, 2.0], [3.0, 0.0]], np.float32)
    found = measure(want, want + np.array([[0, 2], [0, 0]], np.float32))
    assert (found.absolute, found.top1) == (2.0, 1.0)
    assert found.relative == pytest.approx(2 / 3) and found.snr == pytest.approx(10 * np.log10(14 / 4))
    assert found.cosine == pytest.approx((1 + 8 + 9) / np.sqrt(14 * 26))
    assert measure(want, want[:, ::-1]).top1 == 0.0
    assert measure(want, want.astype(np.float16)) == Measures() == measure([want], [want])
    narrow = want.astype(ml_dtypes.bfloat16)
    assert measure(narrow, narrow).snr == float("inf")
    found.add(Measures(absolute=1.0, cosine=0.1))
    assert (found.absolute, found.cosine) == (2.0, 0.1)


class FakeTrt:
    """Stands for polygraphy.backend.trt: an engine that computes with ONNX Runtime, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.profiles, self.options = fails, [], {}

    class Profile(dict):
        def add(self, name: str, **sizes: Any) -> None:
            self[name] = sizes

    def NetworkFromOnnxPath(self, path: str, strongly_typed: bool) -> str:
        assert strongly_typed
        return path

    def CreateConfig(self, tf32: bool, profiles: list) -> None:
        assert not tf32
        self.profiles = profiles

    def EngineFromNetwork(self, network: str, config: None) -> Any:
        def build() -> str:
            if self.fails:
                raise RuntimeError("no kernel")
            return network

        return build

    class TrtRunner:
        def __init__(self, engine: str) -> None:
            self.engine = engine

        def __enter__(self) -> FakeTrt.TrtRunner:
            from planish.runtime.onnxruntime_session import open_session

            self.session = open_session(self.engine)
            return self

        def __exit__(self, *failure: object) -> None:
            self.session = None

        def infer(self, feeds: dict[str, Any]) -> dict[str, Any]:
            return dict(zip(self.session.output_names, self.session.run(feeds), strict=True))


def test_the_engine_is_built_for_the_sizes_of_the_inputs(tmp_path: Path) -> None:
    onnx.save(model_of(ADD), tmp_path / "m.onnx")
    trt = FakeTrt()
    interface = ((("x", "tensor(float)"),), (("y", "tensor(float)"),))
    feeds = [{"x": np.ones(shape, np.float32)} for shape in ((2, 3), (1, 3), (5, 3))]
    with engine_of(tmp_path / "m.onnx", interface, feeds, trt) as engine:
        assert isinstance(engine, EngineRunner)
        np.testing.assert_array_equal(engine.run(feeds[1])[0], [[2, 3, 4]])
        with pytest.raises(EvaluationError, match="the engine failed"):
            engine.run({"x": np.ones((2, 7), np.float32)})
    assert trt.profiles == [{"x": {"min": (1, 3), "opt": (2, 3), "max": (5, 3)}}]
    failing = engine_of(tmp_path / "m.onnx", interface, feeds, FakeTrt(True))
    with pytest.raises(EvaluationError, match="no kernel"), failing:
        pass


def test_the_engine_is_a_level_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'planish[tensorrt-rtx]'")
    report = check(model_of(ADD), lowering=True)
    assert report.passed and {key: level.status for key, level in report.levels.items()} == {
        "L2": "proven", "L3": "proven", "L4": "not-run"
    }  # fmt: skip
    assert report.levels["L4"].reason == "no CUDA device" and report.layers
    monkeypatch.setattr(checks, "can_run", lambda: True)
    monkeypatch.setattr(checks, "engine_of", lambda *given: engine_of(*given, FakeTrt()))
    assert check(model_of(ADD), lowering=True).levels["L4"].status == "proven"


def test_the_levels_of_a_wrong_lowering() -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'planish[tensorrt-rtx]'")
    report = check(model_of("(float[3,3] x) => (float[3,3] y) { y = Trilu(x) }"), lowering=True)
    assert not report.passed and report.levels["L2"].status == "mismatch" and report.levels["L3"].status == "proven"
    report = check(model_of("(double[3] x) => (double[3] y) { y = Abs(x) }"), lowering=True)
    assert "double became float" in report.levels["L3"].reason
    report = check(model_of("(float[3,3] x) => (float y) { y = Det(x) }"), lowering=True)
    assert not report.passed and "does not take" in report.levels["L2"].reason


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(model_of(ADD), "a.onnx")
    onnx.save(model_of(ADD.replace("3}", "3.1}")), "b.onnx")
    Path("own_metric.py").write_text("def size(want, got):\n    return float(want['y'].size)\n")
    np.savez("real.npz", x=np.ones((2, 3), np.float32))
    assert run(["check", "a.onnx", "a.onnx", "--samples", "real.npz", "--metric", "own_metric:size"]) == 0
    assert "the same" in capsys.readouterr().out
    assert run(["check", "a.onnx", "b.onnx", "--json"]) == 6
    found = json.loads(capsys.readouterr().out)
    measures = found["levels"]["L1"]["outputs"][0]["measures"]
    assert found["passed"] is False and measures["absolute"] == pytest.approx(0.1, rel=1e-3)
    assert run(["check", "a.onnx", "b.onnx", "--tolerance", "y=0.5"]) == 0
    Path("garbage.onnx").write_bytes(b"garbage")
    for command in (["check", "a.onnx", "garbage.onnx"], ["check", "garbage.onnx", "a.onnx"]):
        assert run(command) == 3
    assert run(["bisect", "garbage.onnx", "--lowering"]) == 3
    for wrong in (["a.onnx"], ["a.onnx", "b.onnx", "--tolerance", "x"], ["a.onnx", "b.onnx", "--metric", "no:thing"]):
        assert run(["check", *wrong]) == 2
