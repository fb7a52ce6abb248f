"""The documentation is true: pages are current, shown outputs are what is printed, examples run, links lead on."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "models" / "trained" / "README.md"]


def build_pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_pages", ROOT / "docs" / "build_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current() -> None:
    outdated = [str(path.relative_to(ROOT)) for path in build_pages().stale()]
    assert not outdated, f"{outdated} are out of date; run: python docs/build_pages.py"


def test_a_page_that_is_out_of_date_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = build_pages()
    monkeypatch.setattr(builder, "passes_page", lambda: "another text")
    assert builder.stale() == [ROOT / "docs" / "passes.md"]


def test_only_times_and_rounding_may_differ() -> None:
    steady = build_pages().steady
    assert steady("a   12 ms\n worst relative error 1.0e-7") == steady("a 1.2 s\n worst relative error 2.1e-7")
    assert steady("nodes 36 26") != steady("nodes 36 25")


def test_the_examples_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "models", "models")
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    assert (tmp_path / "digits_cnn.b1.onnx").stat().st_size


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_something(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing
