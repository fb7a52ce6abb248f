"""`planish bisect`: the rewrite that makes a command fail is named, and nothing else is."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import onnx
import onnx.parser
import pytest

from planish.runtime.command_line import run

MODEL = """
<ir_version: 10, opset_import: ["" : 17]>
g (float[N,4] x, bool c) => (float[N,4] y) {
    [first] a = Identity (x)
    [second] b = Dropout (a)
    [third] d = Cast <to = 1> (b)
    [choice] y = If (c) <
        then_branch = t () => (float[N,4] p) { [inner] k = Identity (d)  p = Relu (k) },
        else_branch = e () => (float[N,4] q) { q = Exp (d) }>
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model and a script that fails on models without the operator that it is given."""
    onnx.save(onnx.parser.parse_model(MODEL), tmp_path / "model.onnx")
    (tmp_path / "has.py").write_text(dedent("""
        import sys, onnx
        model = onnx.load(sys.argv[2])
        nodes = [*model.graph.node, *(n for a in model.graph.node[-1].attribute for n in a.g.node)]
        sys.exit(sys.argv[1] not in [n.name for n in nodes])
    """))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name, place", [("second", "at second:"), ("inner", "at inner in choice/then_branch:")])
def test_the_guilty_rewrite_is_named(folder: Path, capsys: pytest.CaptureFixture[str], name: str, place: str) -> None:
    assert run(["bisect", "model.onnx", "--check", f"{sys.executable} has.py {name} {{}}"]) == 0
    printed = capsys.readouterr().out
    assert f"by eliminate-no-ops {place}" in printed and f" {name} -> nothing" in printed
    number = int(printed.split()[1].rstrip(","))
    assert f"--fuel {number - 1}" in printed
    assert run(["optimize", "model.onnx", "out.onnx", "-q", "--fuel", str(number - 1)]) == 0
    assert name in str(onnx.load("out.onnx"))
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "has.py", "out.onnx"}


@pytest.mark.parametrize(
    "check, complaint",
    [
        ("true {}", "the check does not fail on the optimized model"),
        ("false {}", "the check fails on the original already"),
        ("false", "does not say where the model's file goes"),
    ],
)
def test_a_check_that_finds_nothing_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], check: str, complaint: str
) -> None:
    assert run(["bisect", "model.onnx", "--check", check]) == 2
    assert complaint in capsys.readouterr().err
