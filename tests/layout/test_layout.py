"""The house rules that a reader relies on: where code stands, what may import what, and how long things may get."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from planish.compiler.graph_pass import Pass
from planish.passes import PASSES

ROOT = Path(__file__).resolve().parents[2]
FLOORS = {
    "compiler": {"compiler"},
    "passes": {"passes", "compiler"},
    "models": {"models", "compiler"},
    "runtime": {"runtime", "passes", "compiler", "models"},
    "planish": {"planish", "runtime", "passes", "compiler", "models"},
}
LONGEST_FILE, LONGEST_FUNCTION = 400, 45
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
PAGE_SECTIONS = ("Before => After", "Legal when", "Pays when", "Numerics")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the repository root, and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def floor(self) -> str:
        return self.path.parts[0]

    @property
    def package(self) -> list[str]:
        """Dotted parts of the package that relative imports start from, e.g. ["planish", "compiler"]."""
        folders = list(self.path.parent.parts)
        return folders if self.floor == "planish" else ["planish", *folders]


@functools.cache
def sources(*folders: str) -> tuple[Source, ...]:
    """The Python files in these folders; links are not followed."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ".typing" not in path.parts:
                text = path.read_text(encoding="utf-8")
                found.append(Source(path.relative_to(ROOT), text, ast.parse(text)))
    return tuple(found)


def package_sources() -> tuple[Source, ...]:
    return sources(*FLOORS)


def imports(source: Source) -> Iterator[tuple[int, int, str]]:
    """Every import as (line, level, absolute dotted name), those inside functions too."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, 0, alias.name
        elif isinstance(node, ast.ImportFrom):
            kept = source.package[: len(source.package) - node.level + 1] if node.level else []
            base = [*kept, *([node.module] if node.module else [])]
            for alias in node.names:
                yield node.lineno, node.level, ".".join([*base, alias.name])


def complaint(offenders: list[str]) -> str:
    return "\n" + "\n".join(offenders)


def test_arrows_point_down() -> None:
    offenders = []
    for source in package_sources():
        for line, level, name in imports(source):
            parts = name.split(".")
            if level and len(parts) > 1 and parts[1] in FLOORS and parts[1] not in FLOORS[source.floor]:
                offenders.append(f"{source.path}:{line}: {source.floor} may not import {name}")
    assert not offenders, complaint(offenders)


def test_the_package_imports_itself_only_relatively() -> None:
    offenders = [
        f"{source.path}:{line}: {name}"
        for source in package_sources()
        for line, level, name in imports(source)
        if not level and name.split(".")[0] in FLOORS
    ]
    assert not offenders, complaint(offenders)


def test_relative_imports_stay_inside_the_package() -> None:
    offenders = [
        f"{source.path}:{line}: {name}"
        for source in package_sources()
        for line, level, name in imports(source)
        if level and not name.startswith("planish.")
    ]
    assert not offenders, complaint(offenders)


def test_tests_import_the_installed_package() -> None:
    offenders = [
        f"{source.path}:{line}: {name}"
        for source in sources("tests")
        for line, level, name in imports(source)
        if not level and name.split(".")[0] in set(FLOORS) - {"planish"}
    ]
    assert not offenders, complaint(offenders)


def test_passes_import_no_backend() -> None:
    backends = {"onnxruntime", "polygraphy", "tensorrt", "torch"}
    offenders = [
        f"{source.path}:{line}: {name}"
        for source in sources("compiler", "passes")
        for line, _, name in imports(source)
        if name.split(".")[0] in backends
    ]
    assert not offenders, complaint(offenders)


def test_the_root_is_not_a_package() -> None:
    assert not (ROOT / "__init__.py").exists(), "pytest would import a second copy of everything"


def test_files_say_what_they_hold() -> None:
    offenders = [
        str(s.path)
        for s in (*package_sources(), *sources("tests"))
        if s.path.stem.split("_")[-1] in VAGUE_NAMES
    ]
    assert not offenders, complaint(offenders)


def test_files_are_short() -> None:
    lengths = [(len(s.text.splitlines()), s.path) for s in (*package_sources(), *sources("tests"))]
    offenders = [f"{path}: {length} lines" for length, path in lengths if length > LONGEST_FILE]
    assert not offenders, complaint(offenders)


def code_lines(function: Function) -> int:
    """Lines of a function from its first to its last, its docstring not counted."""
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def test_functions_are_short() -> None:
    offenders = [
        f"{source.path}:{node.lineno}: {node.name} has {code_lines(node)} lines"
        for source in (*package_sources(), *sources("tests"))
        for node in ast.walk(source.tree)
        if isinstance(node, Function) and code_lines(node) > LONGEST_FUNCTION
    ]
    assert not offenders, complaint(offenders)


def registers(node: ast.AST) -> bool:
    """Whether a function is only ever called through a table of ops, which says what it is for: `@rule("Conv")`."""
    decorators = node.decorator_list if isinstance(node, Function) else []
    calls = [d.func.id for d in decorators if isinstance(d, ast.Call) and isinstance(d.func, ast.Name)]
    return any(name.split("_")[-1] == "rule" for name in calls)


def test_modules_and_public_names_are_documented() -> None:
    """Every module; every public class, and every public function of more than five lines, at a module's top level."""
    offenders = []
    for source in package_sources():
        if not ast.get_docstring(source.tree):
            offenders.append(f"{source.path}: the module")
        for node in source.tree.body:
            if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_") or registers(node):
                continue
            small = isinstance(node, Function) and code_lines(node) <= 5
            if not small and not ast.get_docstring(node):
                offenders.append(f"{source.path}:{node.lineno}: {node.name}")
    assert not offenders, complaint(offenders)


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
    offenders = [
        f"{source.path}:{number}: {line.strip()}"
        for source in (*package_sources(), *sources("tests"))
        for number, line in enumerate(source.text.splitlines(), 1)
        if marks.search(line)
    ]
    assert not offenders, complaint(offenders)


def pass_classes() -> set[type[Pass]]:
    """Pass classes that the modules of passes/ define and whose names do not start with an underscore."""

    def below(kind: type[Pass]) -> Iterator[type[Pass]]:
        for sub in kind.__subclasses__():
            yield sub
            yield from below(sub)

    return {k for k in below(Pass) if k.__module__.startswith("planish.passes.") and "name" in vars(k)}


def test_every_pass_is_registered_under_its_name() -> None:
    modules = {s.path.stem for s in sources("passes") if re.search(r"^    name: ClassVar\[str\] = ", s.text, re.M)}
    registered = {kind.__module__.rsplit(".", 1)[-1] for kind in PASSES.values()}
    assert modules <= registered, f"not in the table of passes/__init__.py: {sorted(modules - registered)}"
    assert pass_classes() == set(PASSES.values())


def test_only_passes_stand_directly_in_passes() -> None:
    files = {path.stem for path in (ROOT / "passes").glob("*.py")} - {"__init__"}
    shared = files - {name.replace("-", "_") for name in PASSES}
    assert not shared, f"what passes share stands in a folder of passes/: {sorted(shared)}"


def names_agree(name: str, kind: type[Pass]) -> str:
    module, title = name.replace("-", "_"), "".join(word.capitalize() for word in name.split("-"))
    if (kind.name, kind.__module__, kind.__name__) != (name, f"planish.passes.{module}", title):
        return f"{name} should be class {title} in passes/{module}.py, is {kind.__name__} in {kind.__module__}"
    return ""


def golden_file(name: str, kind: type[Pass]) -> str:
    path = ROOT / "tests" / "golden" / f"{name}.txt"
    return "" if path.is_file() and path.stat().st_size else f"{path.relative_to(ROOT)} is missing or empty"


def page_is_whole(name: str, kind: type[Pass]) -> str:
    page = vars(kind).get("__doc__") or ""
    missing = [title for title in PAGE_SECTIONS if title not in page]
    return f"the page of {name} has no section {missing}" if missing else ""


@pytest.mark.parametrize("rule", [names_agree, golden_file, page_is_whole], ids=lambda rule: rule.__name__)
def test_every_pass(rule: Callable[[str, type[Pass]], str]) -> None:
    offenders = [text for name, kind in PASSES.items() if (text := rule(name, kind))]
    assert not offenders, complaint(offenders)


def test_every_golden_file_belongs_to_a_pass() -> None:
    strays = {path.stem for path in (ROOT / "tests" / "golden").glob("*.txt")} - set(PASSES)
    assert not strays, f"no pass of this name: {sorted(strays)}"


def test_every_folder_with_code_is_packaged() -> None:
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(tables["tool"]["setuptools"]["packages"])
    assert {".".join(source.package) for source in package_sources()} == listed


@pytest.mark.parametrize("name", [*sorted(set(FLOORS) - {"planish"}), "__init__.py"])
def test_type_checkers_see_the_package(name: str) -> None:
    link = ROOT / "tests" / ".typing" / "planish" / name
    target = ROOT / "planish" / name if name == "__init__.py" else ROOT / name
    assert link.is_symlink() and not link.readlink().is_absolute() and link.resolve() == target


def test_ci_is_executable() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
