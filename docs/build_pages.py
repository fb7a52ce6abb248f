"""Writes what the documentation shows from what the program does: docs/passes.md, and the outputs in the README.

    python docs/build_pages.py            write what is out of date
    python docs/build_pages.py --check    only say what is; status 1 if anything
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from planish.compiler.graph_pass import Pass
from planish.passes import PASSES, PIPELINES
from planish.runtime.command_line import run
from planish.runtime.passes_command import describe

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
WIDTH = 80
_BLOCK = re.compile(r"```console\n(?P<body>\$ .*?\n)```\n", re.DOTALL)


def pages() -> dict[Path, str]:
    """What each generated file should hold."""
    readme = ROOT / "README.md"
    return {ROOT / "docs" / "passes.md": passes_page(), readme: with_outputs(readme.read_text(encoding="utf-8"))}


def stale() -> list[Path]:
    """Files that do not hold what they should; numbers that differ from machine to machine do not count."""
    found = []
    for path, text in pages().items():
        current = path.read_text(encoding="utf-8") if path.exists() else ""
        if steady(current) != steady(text):
            found.append(path)
    return found


def steady(text: str) -> str:
    """A text without what differs from run to run: times, rounding errors, and the widths that follow from them."""
    text = re.sub(r"\d+(\.\d+)? m?s\b", "TIME", text)
    text = re.sub(r"worst relative error \S+", "worst relative error ERROR", text)
    text = re.sub(r"[─-]{3,}", "---", text)
    return re.sub(r"[ \t]+", " ", text)


def with_outputs(text: str) -> str:
    """The text with the output of every command in a console block as it is now."""
    with tempfile.TemporaryDirectory() as folder, working_in(Path(folder)):
        os.symlink(ROOT / "models", "models")
        return _BLOCK.sub(lambda block: f"```console\n{transcript(block['body'])}```\n", text)


def transcript(body: str) -> str:
    """The commands of a console block, each followed by what it prints."""
    commands = [line[2:] for line in body.splitlines() if line.startswith("$ ")]
    return "\n".join(f"$ {command}\n{output(command)}" for command in commands)


def output(command: str) -> str:
    """What a planish command prints on a terminal of 80 columns."""
    program, *arguments = shlex.split(command)
    assert program == "planish", f"only planish can be shown, not {command}"
    printed = io.StringIO()
    os.environ["COLUMNS"] = str(WIDTH)
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        run(arguments)
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def passes_page() -> str:
    """docs/passes.md."""
    lines = [
        "# Passes", "",
        "Written by `python docs/build_pages.py` from the passes themselves and from `tests/golden`.", "",
        f"{len(PASSES)} passes, in the order in which they run by default.", "",
        "| pass | effect | what it does |", "|---|---|---|",
        *(f"| [{k.name}](#{k.name}) | {k.effect.value} | {title(k)} |" for k in PASSES.values()), "",
    ]  # fmt: skip
    for name, text in PIPELINES.items():
        lines += [f"The pipeline `{name}`:", "", "```text", text.replace(",", ",\n"), "```", ""]
    for kind in PASSES.values():
        lines += [f"## {kind.name}", "", *section(kind), ""]
    return "\n".join(lines).rstrip() + "\n"


def title(kind: type[Pass]) -> str:
    return kind.page().partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def section(kind: type[Pass]) -> Iterator[str]:
    """The page of one pass in Markdown: its docstring, its options, and its first golden case."""
    for block in re.split(r"\n{2,}", kind.page()):
        head, *rest = block.splitlines()
        if rest and all(not line or line.startswith("    ") for line in rest) and not head.startswith(" "):
            body = [line[4:] for line in rest]
            yield from [f"**{head}**", "", *(["```text", *body, "```"] if "=>" in head else body), ""]
        elif head.startswith("    "):
            yield from ["```text", *(line[4:] for line in [head, *rest]), "```", ""]
        else:
            yield from [head, *rest, ""]
    for name, default in describe(kind)["options"].items():
        yield f"Option `{name}`, by default `{default}`."
    example = golden_example(GOLDEN / f"{kind.name}.txt")
    if example:
        yield from ["<details><summary>An example from the tests</summary>", ""]
        yield from ["```text", *example, "```", "", "</details>"]


def golden_example(path: Path) -> list[str]:
    """The lines of the first case of a golden file."""
    if not path.exists():
        return []
    first = re.split(r"^=== .*\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    return first.rstrip().splitlines()


def main() -> None:
    """Write or check, as the argument says."""
    outdated = stale()
    for path in outdated:
        print(f"{path.relative_to(ROOT)} is out of date")
    if "--check" in sys.argv[1:]:
        sys.exit(1 if outdated else 0)
    written = pages()
    for path in outdated:
        path.write_text(written[path], encoding="utf-8")


if __name__ == "__main__":
    main()
