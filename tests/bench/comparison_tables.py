"""The measurements of compare_peers.py as Markdown, written into a document between two marks."""

from __future__ import annotations

import datetime
import os
import platform
import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

Cell = dict[str, Any]
Row = dict[str, Any]

FAILURES = ("crash", "timeout")
_FOLDERS = re.compile(r"(?<=\s)/(?:[^/\s]+/)+")
_COLUMNS = ("seconds", "peak memory", "latency")
_LEGEND = (
    "Bold: the fewest nodes of a result that is right. ✗: wrong numbers, names, types or shapes. ?: ONNX Runtime does "
    "not run the original, so that nothing can be said of the numbers. -n inputs: the result has lost inputs that a "
    "caller may give (weights that are inputs too). +n own: nodes outside of the standard domains that the tool added. "
    "What is marked does not count as right."
)  # fmt: skip


def setting(command: str) -> dict[str, str]:
    """When, where and how something was measured."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
    machine = f"{cores} cores ({_processor()}), {platform.system()}, Python {platform.python_version()}"
    return {"date": datetime.date.today().isoformat(), "machine": machine, "command": command}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def insert(document: Path, mark: str, text: str) -> None:
    """Replace what stands between `<!-- mark -->` and `<!-- end of mark -->`."""
    first, last = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    before, opened, rest = document.read_text(encoding="utf-8").partition(first)
    _, closed, after = rest.partition(last)
    if not opened or not closed:
        raise click.UsageError(f"{document} has no lines {first.strip()} and {last}")
    document.write_text(f"{before}{first}\n{text.strip()}\n\n{last}{after}", encoding="utf-8")


def table(head: list[str], lines: list[list[str]], texts: int = 1) -> str:
    """A table whose columns after the first `texts` hold numbers."""
    rule = "|" + "---|" * texts + "---:|" * (len(head) - texts)
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)])


def introduction(where: dict[str, str]) -> str:
    """The first lines below a heading: when, where, and the command."""
    return f"Measured on {where['date']}, {where['machine']}:\n\n```sh\n{where['command']}\n```"


def is_right(cell: Cell) -> bool:
    """Whether a result stands for the model everywhere: same numbers, same inputs, standard operators only."""
    return cell.get("verdict") == "right" and not cell["other_domains_added"] and not cell["inputs_lost"]


def nodes_left(row: Row, cell: Cell) -> int:
    """Nodes of the model that one would go on with."""
    return int(cell["nodes"]) if is_right(cell) else int(row["nodes"])


def share(row: Row, nodes: int) -> float:
    return max(nodes, 1) / max(row["nodes"], 1)


def best_peer(row: Row) -> int:
    """Nodes left by the best right tool other than planish."""
    return min([row["nodes"], *(nodes_left(row, cell) for tool, cell in row["tools"].items() if tool != "planish")])


def judged(rows: list[Row]) -> list[Row]:
    """The models about which something can be said: those that ONNX Runtime runs."""
    return [row for row in rows if any(cell["verdict"] in ("right", "wrong") for cell in row["tools"].values())]


def _mean(values: list[float], digits: int = 3) -> str:
    return f"{statistics.geometric_mean(values):.{digits}f}" if values else "-"


def summary(rows: list[Row], tools: list[str]) -> str:
    """One line per tool, then what the best of the others leaves."""
    known = judged(rows)
    finished = [row for row in rows if all("seconds" in row["tools"][tool] for tool in tools)]
    lines = []
    for tool in tools:
        cells = [row["tools"][tool] for row in known]
        seconds, peaks = ([row["tools"][tool][key] for row in finished] for key in ("seconds", "peak_mib"))
        lines.append([
            f"{tool} {next((row['tools'][tool]['version'] for row in rows if 'version' in row['tools'][tool]), '')}",
            str(sum(map(is_right, cells))),
            str(sum(cell["verdict"] == "wrong" for cell in cells)),
            str(sum(cell["verdict"] == "right" and not is_right(cell) for cell in cells)),
            str(sum(row["tools"][tool]["verdict"] in FAILURES for row in rows)),
            _mean([share(row, nodes_left(row, row["tools"][tool])) for row in known]),
            _mean(seconds),
            _mean(peaks, digits=0),
            _mean([cell["latency"] for cell in cells if "latency" in cell], digits=2),
        ])  # fmt: skip
    head = ["tool", "right", "wrong", "interface changed", "crash", "nodes left", "seconds", "peak MiB", "latency"]
    return (
        f"{len(rows)} models, of which ONNX Runtime runs {len(known)}. Means are geometric: of the share of nodes "
        "left, where a result that is not right leaves them all; of seconds and peak memory on the "
        f"{len(finished)} models that every tool finishes; of the latency of the right results, relative to the "
        f"original's.\n\n{table(head, lines)}\n\n{best_of_peers(known)}"
    )


def best_of_peers(rows: list[Row]) -> str:
    """planish beside the best right result of the other tools on each model."""
    best = {row["model"]: best_peer(row) for row in rows}
    gaps = [nodes_left(row, row["tools"]["planish"]) - best[row["model"]] for row in rows if "planish" in row["tools"]]
    fewer, more = sum(gap < 0 for gap in gaps), sum(gap > 0 for gap in gaps)
    return (
        "The best right result of the other tools, chosen for each model, leaves "
        f"{_mean([share(row, best[row['model']]) for row in rows])} of the nodes. planish leaves fewer than that on "
        f"{fewer} models, as many on {len(gaps) - fewer - more}, more on {more}."
    )


def node_cell(row: Row, cell: Cell) -> str:
    """What is left by one tool, marked where it is not right."""
    if "nodes" not in cell:
        return str(cell["verdict"])
    text = str(cell["nodes"]) + {"right": "", "wrong": " ✗", "not run": " ?"}[cell["verdict"]]
    if cell["other_domains_added"]:
        text += f" +{cell['other_domains_added']} own"
    if cell["inputs_lost"]:
        text += f" -{cell['inputs_lost']} inputs"
    fewest = min(nodes_left(row, other) for other in row["tools"].values())
    return f"**{text}**" if is_right(cell) and cell["nodes"] == fewest else text


def number_cell(name: str) -> Callable[[Row, Cell], str]:
    """How a column of numbers is written."""
    key, digits = {"seconds": ("seconds", 3), "peak memory": ("peak_mib", 0), "latency": ("latency", 2)}[name]
    return lambda row, cell: f"{cell[key]:.{digits}f}" if key in cell else "-"


def reasons(rows: list[Row], tools: list[str]) -> Iterator[str]:
    """What is wrong with each result that is not right."""
    for row in rows:
        for tool in tools:
            cell = row["tools"][tool]
            if cell["verdict"] in ("wrong", *FAILURES):
                reason = _FOLDERS.sub("", cell.get("reason", ""))
                yield f"- {row['model']}, {tool}: {cell['verdict']}. {reason}".rstrip()


def details(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def models_section(measured: dict[str, Any]) -> str:
    """All that is known of a comparison on models; every tool must have been judged on each."""
    rows = measured["rows"]
    tools = list(dict.fromkeys(tool for row in rows for tool in row["tools"]))
    head = ["model", "package", "nodes", *tools]

    def whole(cell: Callable[[Row, Cell], str]) -> str:
        lines = [
            [row["model"], row["package"], str(row["nodes"]), *(cell(row, row["tools"][tool]) for tool in tools)]
            for row in rows
        ]
        return table(head, lines, texts=2)

    titles = {
        "seconds": "Seconds of the call, the best run",
        "peak memory": "Peak memory of the process in MiB",
        "latency": "Latency relative to the original's",
    }
    parts = [introduction(measured), summary(rows, tools), "### Nodes left", _LEGEND, whole(node_cell)]
    parts += [details(titles[name], whole(number_cell(name))) for name in _COLUMNS]
    if wrong := "\n".join(reasons(rows, tools)):
        parts.append(details("What is wrong with the results that are not right", wrong))
    return "\n\n".join(parts)
