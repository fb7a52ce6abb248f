"""`planish` as users call it: every option changes something, failures are one line and a status, JSON is stable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

import planish
from planish.models import trained
from planish.runtime.command_line import run

MODEL = """
<ir_version: 10, opset_import: ["" : 17]>
g (float[N,64] x, float[64] w = {WEIGHTS}) => (float[N,64] y, float[N,64] z, float[64,64] grown, float[N,64] r) {
    i = Identity (x)
    d = Dropout (i)
    y = MatMul (d, big)
    z = Add (y, w)
    shape = Constant <value_ints = [64, 64]> ()
    one = Constant <value_floats = [3.0]> ()
    grown = Expand (one, shape)
    r = Softmax <axis = 1> (x)
}
""".replace("WEIGHTS", ",".join(["1"] * 64))

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    proto = onnx.parser.parse_model(MODEL)
    weights = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(weights, "big"))
    onnx.save(proto, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process: (status, stdout, stderr)."""

    def called(*words: object) -> tuple[int, str, str]:
        status = run([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return called


def optimized(call: Run, source: Path, *words: object) -> tuple[dict[str, Any], onnx.ModelProto]:
    """(what --json prints, the model written)."""
    out = source.with_name("out.onnx")
    status, printed, complaints = call("optimize", source, out, "--json", *words)
    assert (status, complaints) == (0, "")
    return json.loads(printed), onnx.load(out)


def op_types(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def test_the_summary_names_what_changed_and_the_file(call: Run, source: Path) -> None:
    status, printed, complaints = call("optimize", source)
    assert (status, complaints) == (0, "")
    lines = {line.split("  ")[0].strip(): line.split() for line in printed.splitlines()}
    assert lines["Identity"][1:3] == ["1", "0"] and lines["Dropout"][1:3] == ["1", "0"]
    assert lines["nodes"][1:3] == ["6", "3"]
    assert "FLOPs (with N = 1)" in printed
    assert lines["eliminate-no-ops"][1] == "2"
    assert "same numbers on 10 inputs, worst relative error" in printed or "no difference at all" in printed
    assert printed.rstrip().endswith(f"wrote {source.with_name('model.optimized.onnx')}")
    assert max(map(len, printed.splitlines()[:-1])) <= 80


def test_without_out_the_result_goes_beside_the_input(call: Run, source: Path) -> None:
    before = source.read_bytes()
    assert call("optimize", source, "-q") == (0, "", "")
    assert source.read_bytes() == before
    assert op_types(onnx.load(source.with_name("model.optimized.onnx"))) == ["MatMul", "Add", "Softmax"]


def test_the_input_is_overwritten_only_where_it_is_named_as_the_output(call: Run, source: Path) -> None:
    assert call("optimize", source, source, "-q")[0] == 0
    assert len(onnx.load(source).graph.node) == 3


def test_passes_and_skip(call: Run, source: Path) -> None:
    assert op_types(optimized(call, source, "--passes", "")[1]) == op_types(onnx.load(source))
    only = optimized(call, source, "--passes", "eliminate-no-ops")
    assert "Constant" in op_types(only[1]) and "Identity" not in op_types(only[1])
    assert only[0]["pipeline"] == "eliminate-no-ops"
    for words in ("--skip eliminate-no-ops,fold-constants", "--skip eliminate-no-ops --skip fold-constants"):
        account, proto = optimized(call, source, *words.split())
        assert "Identity" in op_types(proto) and "eliminate-no-ops" not in account["pipeline"]


def test_opset(call: Run, source: Path) -> None:
    assert optimized(call, source)[1].opset_import[0].version == 17
    account, proto = optimized(call, source, "--opset", "21")
    assert proto.opset_import[0].version == 21 and account["opsets"][""] == {"before": 17, "after": 21}


def test_verify(call: Run, source: Path) -> None:
    assert optimized(call, source, "--verify", "off")[0]["parity"] is None
    for mode in ("final", "each"):
        assert optimized(call, source, "--verify", mode)[0]["parity"]["status"] == "proven"
    assert "not compared with the original" in call("optimize", source, "--verify", "off")[1]


def test_seed(call: Run, tmp_path: Path) -> None:
    words = ["optimize", trained("digits_cnn"), tmp_path / "out.onnx", "--json", "--seed"]
    errors = [call(*words, seed)[1] for seed in (0, 0, 1)]
    worst = [json.loads(text)["parity"]["worst"] for text in errors]
    assert worst[0] == worst[1] != worst[2]


def test_samples(call: Run, source: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "real.npz", x=np.ones((5, 64), np.float32))
    account, _ = optimized(call, source, "--samples", tmp_path / "real.npz")
    assert account["parity"]["samples"][0] == "real"


def test_outputs_and_drop_output(call: Run, source: Path) -> None:
    for words in (["--outputs", "y,r"], ["--outputs", "y", "--outputs", "r"],
                  ["--drop-output", "z", "--drop-output", "grown"]):  # fmt: skip
        _, proto = optimized(call, source, *words)
        assert [o.name for o in proto.graph.output] == ["y", "r"]
        assert op_types(proto) == ["MatMul", "Softmax"]


@pytest.mark.parametrize("shape", ["x:2,64", "x:[2,64]", "x:2x64"])
def test_input_shape(call: Run, source: Path, shape: str) -> None:
    account, proto = optimized(call, source, "--input-shape", shape)
    assert [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim] == [2, 64]
    assert account["symbols"] == []
    assert "FLOPs  " in call("optimize", source, "--input-shape", shape)[1]


def test_freeze(call: Run, source: Path) -> None:
    assert [i.name for i in optimized(call, source)[1].graph.input] == ["x", "w"]
    assert [i.name for i in optimized(call, source, "--freeze")[1].graph.input] == ["x"]


def test_fold_budget(call: Run, source: Path) -> None:
    assert "Expand" in op_types(optimized(call, source, "--fold-budget", "0")[1])
    assert "Expand" not in op_types(optimized(call, source, "--fold-budget", "1MB")[1])


def test_fuel(call: Run, source: Path) -> None:
    numbers = [len(optimized(call, source, "--fuel", fuel)[0]["rewrites"]) for fuel in (0, 1, 2)]
    assert numbers == [0, 1, 2]


def test_external_data(call: Run, source: Path) -> None:
    data = source.with_name("out.onnx.data")
    optimized(call, source)
    assert not data.exists()
    optimized(call, source, "--external-data")
    assert data.stat().st_size >= 64 * 64 * 4
    moved = source.with_name("out.onnx")
    account, proto = optimized(call, moved.rename(source.with_name("moved.onnx")), "--no-external-data")
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in proto.graph.initializer)
    assert account["file_bytes"]["before"] > 64 * 64 * 4


def test_remarks_missed_and_grep(call: Run, source: Path) -> None:
    plain = call("optimize", source)[1]
    assert "applied: " not in plain and "refused: " not in plain
    remarks = call("optimize", source, "--remarks")[1]
    assert "applied: Identity" in remarks and "refused: " in remarks
    missed = call("optimize", source, "--missed")[1]
    assert "applied: " not in missed and "refused: " in missed
    found = call("optimize", source, "--grep", "Dropout")[1]
    assert "applied: Dropout" in found and "applied: Identity" not in found
    alone = call("optimize", source, "--missed", "--quiet")[1]
    assert "refused: " in alone and "nodes" not in alone and "wrote" not in alone
    unwrapped = f"no remarks match {'long ' * 30}end\n"  # where no terminal reads
    assert unwrapped in call("optimize", source, "--grep", f"{'long ' * 30}end")[1]


def test_plugin_and_json_together_keep_stdout_clean(call: Run, source: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "talk.py"
    plugin.write_text(dedent("""
        import planish

        @planish.graphsurgeon_pass("talk")
        def talk(graph):
            print("I talk")
    """))
    status, printed, complaints = call("optimize", source, tmp_path / "out.onnx", "--json", "--plugin", plugin)
    assert status == 0 and complaints == "I talk\n"
    assert json.loads(printed)["pipeline"].startswith("talk,")
    assert "talk" in call("passes", "--plugin", plugin)[1]


def test_quiet_and_progress(call: Run, source: Path) -> None:
    assert call("optimize", source, "--quiet") == (0, "", "")
    _, _, steps = call("optimize", source, "--progress")
    assert "eliminate-no-ops" in steps and "comparing" in steps and "%" in steps
    assert call("optimize", source, "--no-progress")[2] == ""
    assert call("optimize", source, "--quiet", "--progress")[2] != ""


def test_the_account_has_the_keys_that_scripts_rely_on(call: Run, source: Path) -> None:
    account, _ = optimized(call, source)
    kinds = {key: sorted(v) if isinstance(v, dict) else type(v).__name__ for key, v in account.items()}
    assert kinds == {
        "schema": "int", "planish": "str", "source": "str", "saved": "str", "pipeline": "str", "target": "str",
        "opsets": [""], "ops": sorted(account["ops"]), "nodes": ["after", "before"], "flops": ["after", "before"],
        "parameters": ["after", "before"], "weight_bytes": ["after", "before"], "moved_bytes": ["after", "before"],
        "file_bytes": ["after", "before"], "symbols": "list", "uncounted": ["after", "before"],
        "passes": "list", "rewrites": "list", "remarks": "list",
        "parity": ["notes", "outputs", "reason", "samples", "status", "worst"], "held_back": [],
        "seconds": ["optimize", "verify"],
    }  # fmt: skip
    assert account["schema"] == 1
    assert account["nodes"] == {"before": 6, "after": 3}
    assert sorted(account["passes"][0]) == ["applied", "name", "refused", "runs", "seconds"]
    assert sorted(account["rewrites"][0]) == ["added", "changed", "node", "note", "number", "pass", "removed", "scope"]
    assert sorted(account["remarks"][0]) == ["kind", "node", "pass", "scope", "text"]
    assert account == json.loads(json.dumps(account))
    assert sum(p["applied"] for p in account["passes"]) == len(account["rewrites"])


def test_the_python_call_and_json_tell_the_same(call: Run, source: Path) -> None:
    account, proto = optimized(call, source)
    result = planish.optimize(source)
    assert result.proto() == proto
    mine = result.to_dict()
    for key in ("pipeline", "ops", "nodes", "flops", "rewrites", "remarks", "parity", "held_back"):
        assert mine[key] == account[key]
    assert "6 -> 3 nodes" in repr(result) and "proven" in repr(result)
    assert "Identity" in str(result) and "same numbers on" in str(result)


def test_work_that_is_not_known_is_marked_as_too_low(call: Run, tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 17]> g (float[N,4] x) => (float[M,4] y, float[N,4] z) {
            nonzero = NonZero (x)
            rows = Cast <to = 1> (nonzero)
            columns = Transpose <perm = [1, 0]> (rows)
            doubled = Concat <axis = 1> (columns, columns)
            y = Sin (doubled)
            i = Identity (x)
            z = Exp (i)
        }"""
    )
    onnx.save(proto, tmp_path / "model.onnx")
    account, _ = optimized(call, tmp_path / "model.onnx")
    assert account["uncounted"] == {"before": 2, "after": 2}  # NonZero and Sin
    line = next(text for text in call("optimize", tmp_path / "model.onnx")[1].splitlines() if "FLOPs" in text)
    assert line.count("> ") == 2 and not line.rstrip().endswith("%")
    assert "> " in next(text for text in call("inspect", tmp_path / "model.onnx")[1].splitlines() if "FLOPs" in text)
