"""Passes of others: from files, from installed packages, as classes; and what a failed one leaves behind."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import onnx
import onnx.parser
import pytest

import planish
from planish import OptionError, PassError
from planish.runtime.command_line import run
from planish.runtime.plugins import registry_with

MODEL = """
<ir_version: 10, opset_import: ["" : 17]>
g (float[N,3] x) => (float[N,3] y) {
    a = Neg (x)
    b = Neg (a)
    c = Relu (b)
    d = Sigmoid (c)
    y = Identity (d)
}
"""

HARMLESS = """
    from dataclasses import dataclass
    from typing import ClassVar

    import planish


    @dataclass(frozen=True)
    class CountNodes(planish.Pass):
        '''Say how many nodes there are.'''

        name: ClassVar[str] = "count-nodes"
        loud: bool = False

        def run(self, context: planish.Context, since: int) -> None:
            node = next(iter(context.model.graph))
            context.remark("analysis", self.name, node, f"{context.model.graph.count} nodes" + "!" * self.loud)
"""

FAILING = """
    from dataclasses import dataclass
    from typing import ClassVar

    import planish


    @dataclass(frozen=True)
    class Stumble(planish.Pass):
        '''Fail where a Sigmoid is left.'''

        name: ClassVar[str] = "stumble"
        over: str = "Sigmoid"

        def run(self, context: planish.Context, since: int) -> None:
            if any(node.op == self.over for node in context.model.graph) and context.journal.count:
                raise ValueError("too bad")
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(MODEL), path)
    return path


def plugin(folder: Path, text: str, name: str = "plugin.py") -> Path:
    path = folder / name
    path.write_text(dedent(text), encoding="utf-8")
    return path


def install(folder: Path, text: str, points: str) -> None:
    """An installed distribution, as an installer leaves it: a module, and metadata with entry points."""
    plugin(folder, text, "vendor_passes.py")
    metadata = folder / "vendor_passes-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor-passes\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[planish.passes]\n{points}\n")


def texts(result: planish.Result) -> list[str]:
    return [r.text for r in result.remarks if r.kind == "analysis"]


def test_the_passes_of_a_file_run_before_the_others(tmp_path: Path, model: Path) -> None:
    result = planish.optimize(model, plugins=[plugin(tmp_path, HARMLESS)])
    assert texts(result) == ["5 nodes"]
    assert result.pipeline.startswith("count-nodes,eliminate-dead-nodes,")


def test_the_passes_of_a_file_run_where_the_pipeline_names_them(tmp_path: Path, model: Path) -> None:
    file = plugin(tmp_path, HARMLESS)
    result = planish.optimize(model, plugins=[file], passes="eliminate-no-ops,count-nodes{loud=true}")
    assert texts(result) == ["4 nodes!"]
    assert texts(planish.optimize(model, plugins=[str(file)], passes="default")) == []


def test_a_class_is_a_plugin(model: Path) -> None:
    kind = registry_with()["eliminate-no-ops"]
    assert planish.optimize(model, plugins=[kind], passes="eliminate-no-ops").after.nodes == 4


def test_an_installed_package_brings_passes_that_run_only_where_they_are_named(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, HARMLESS, "count-nodes = vendor_passes:CountNodes")
    monkeypatch.syspath_prepend(tmp_path)
    assert texts(planish.optimize(model)) == []
    assert texts(planish.optimize(model, passes="count-nodes,default")) == ["5 nodes"]


@pytest.mark.parametrize(
    "points, complaint",
    [
        ("count-nodes = vendor_passes:Missing", "cannot be loaded: AttributeError"),
        ("count-nodes = no_such_module:CountNodes", "cannot be loaded: ModuleNotFoundError"),
        ("other-name = vendor_passes:CountNodes", "announces a pass that is called 'count-nodes'"),
        ("count-nodes = vendor_passes:dataclass", "is no pass"),
    ],
)
def test_an_installed_package_that_is_broken_is_named(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, points: str, complaint: str
) -> None:
    install(tmp_path, HARMLESS, points)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OptionError, match=complaint):
        planish.optimize(model)


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("x = 1", "defines no pass"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("x = (", "SyntaxError"),
        (HARMLESS.replace("count-nodes", "fold-constants"), "exists already, from planish"),
        (HARMLESS.replace("count-nodes", "default"), "is the name of a pipeline"),
        (HARMLESS.replace("count-nodes", "Count Nodes"), "is not a pass name"),
        (HARMLESS.replace("    @dataclass(frozen=True)\n", ""), "is no dataclass"),
        (HARMLESS.replace("loud: bool = False", "loud: bool"), "have no default"),
        (HARMLESS.replace("def run(", "def walk("), "does not define run"),
    ],
)
def test_a_file_that_is_no_plugin_is_refused(tmp_path: Path, model: Path, text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        planish.optimize(model, plugins=[plugin(tmp_path, text)])


def test_the_line_of_a_failing_plugin_is_named(tmp_path: Path, model: Path) -> None:
    file = plugin(tmp_path, "x = 1\ny = x / 0\n")
    with pytest.raises(OptionError) as caught:
        planish.optimize(model, plugins=[file])
    assert caught.value.where == f"{file}:2"


def test_a_missing_file_is_named(tmp_path: Path, model: Path) -> None:
    with pytest.raises(OptionError, match=r"gone\.py' cannot be read: No such file"):
        planish.optimize(model, plugins=[tmp_path / "gone.py"])


def test_a_failed_pass_leaves_what_shows_it_again(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = plugin(tmp_path, FAILING.replace(" and context.journal.count", ""))
    folder = tmp_path / "failure"
    with pytest.raises(PassError, match="stumble failed: ValueError: too bad") as caught:
        planish.optimize(model, plugins=[file], passes="eliminate-no-ops,stumble,default", reproducer=folder)
    assert str(folder) in caught.value.hint
    assert (folder / "pipeline.txt").read_text() == "stumble\n"
    assert "ValueError: too bad" in (folder / "error.txt").read_text()
    before = onnx.load(folder / "before.onnx")
    assert [n.op_type for n in before.graph.node] == ["Neg", "Neg", "Relu", "Sigmoid"], "the model as it came there"
    monkeypatch.chdir(folder)
    command = (folder / "command.txt").read_text().split()
    assert command[:2] == ["planish", "optimize"]
    assert run(command[1:]) == PassError.exit_code


def test_a_failure_that_needs_the_earlier_passes_leaves_all_of_them(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "failure"
    with pytest.raises(PassError):
        planish.optimize(
            model, plugins=[plugin(tmp_path, FAILING)], passes="eliminate-no-ops,stumble", reproducer=folder
        )
    assert (folder / "pipeline.txt").read_text() == "eliminate-no-ops,stumble\n"
    assert len(onnx.load(folder / "before.onnx").graph.node) == 5, "the model as it was read"


def test_without_a_folder_nothing_is_left(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = plugin(tmp_path, FAILING)
    there = set(tmp_path.iterdir())
    with pytest.raises(PassError):
        planish.optimize(model, plugins=[file], passes="eliminate-no-ops,stumble")
    assert set(tmp_path.iterdir()) - there <= {tmp_path / "__pycache__"}


def test_a_folder_that_cannot_be_written_does_not_hide_the_failure(tmp_path: Path, model: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(PassError, match="too bad") as caught:
        planish.optimize(
            model, plugins=[plugin(tmp_path, FAILING)], passes="eliminate-no-ops,stumble", reproducer=taken
        )
    assert "could not be written" in caught.value.hint
