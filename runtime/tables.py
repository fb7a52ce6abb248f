"""What people see: tables and lines made of an account (`planish.runtime.account`)."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_SHOWN_PLACES = 3
_ON_REQUEST = frozenset({"analyze-concats"})  # what is found there does not call for anything to be done
_KINDS = {"applied": "applied", "missed": "refused", "analysis": "found"}
_UNITS = ("", " k", " M", " G", " T", " P", " E")


def console(**settings: Any) -> Console:
    """A console that takes names as they are: brackets and colons in them mean nothing."""
    return Console(markup=False, emoji=False, highlight=False, **settings)


def table(*titles: str, numbers: Sequence[str] = (), header: bool = True) -> Table:
    """An empty table; the columns `numbers` follow and are aligned to the right."""
    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, show_header=header)
    for title in titles:
        made.add_column(title, overflow="fold")
    for title in numbers:
        made.add_column(title, justify="right", no_wrap=True)
    return made


def summary_text(account: dict[str, Any]) -> str:
    """The whole summary as text of 80 columns, without colours."""
    file = io.StringIO()
    console(file=file, width=80, color_system=None).print(summary(account))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def summary(account: dict[str, Any]) -> RenderableType:
    """Operators and totals before and after, what each pass did, and whether the numbers are the same."""
    parts: list[RenderableType] = [counts(account), "", passes(account["passes"]), ""]
    for key, reason in account["held_back"].items():
        parts.append(Text(f"taken back: {key}: {reason}", style="yellow"))
    found = [r for r in account["remarks"] if r["kind"] == "analysis" and r["pass"] not in _ON_REQUEST]
    findings = Counter(r["text"] for r in found)
    for text, number in findings.items():
        places = f" ({number} places)" if number > 1 else ""
        parts.append(Text(f"found: {text}{places}", style="yellow"))
    parts.append(parity_line(account["parity"]))
    parts.extend(Text(note, style="dim") for note in (account["parity"] or {}).get("notes", ()))
    return Group(*parts)


def counts(account: dict[str, Any]) -> Table:
    """Operators whose number changed, and the totals."""
    rows = table("", numbers=("before", "after", "change"))
    ops = {name: sides for name, sides in account["ops"].items() if sides["before"] != sides["after"]}
    for name, sides in sorted(ops.items(), key=lambda item: (item[1]["after"] - item[1]["before"], item[0])):
        rows.add_row(name, *_row(sides, str))
    same = sum(sides["after"] for sides in account["ops"].values() if sides["before"] == sides["after"])
    if same:
        rows.add_row("other operators", str(same), str(same), "", style="dim")
    rows.add_section()
    rows.add_row("nodes", *_row(account["nodes"], str), style="bold")
    rows.add_row(flops_title(account["symbols"]), *_flops(account))
    rows.add_row("parameters", *_row(account["parameters"], quantity))
    files = account["file_bytes"]
    if files["before"] is not None and files["after"] is not None:
        rows.add_row("bytes in files", *_row(files, quantity))
    else:
        rows.add_row("bytes of weights", *_row(account["weight_bytes"], quantity))
    for domain, sides in account["opsets"].items():
        if sides["before"] != sides["after"]:
            rows.add_row(f"opset {domain or 'ai.onnx'}", str(sides["before"] or "-"), str(sides["after"] or "-"), "")
    return rows


def passes(entries: list[dict[str, Any]]) -> Table:
    """Passes that applied or refused something; the others in one line."""
    rows = table("pass", numbers=("applied", "refused", "time"))
    busy = [entry for entry in entries if entry["applied"] or entry["refused"]]
    for entry in busy:
        rows.add_row(entry["name"], _count(entry["applied"]), _count(entry["refused"]), duration(entry["seconds"]))
    idle = [entry for entry in entries if entry not in busy]
    if idle:
        noun = "pass" if len(idle) == 1 else "passes"
        title = f"{len(idle)} other {noun}" if busy else f"{len(idle)} {noun}"
        rows.add_row(title, "-", "-", duration(sum(e["seconds"] for e in idle)), style="dim")
    rows.add_section()
    totals = [sum(entry[key] for entry in entries) for key in ("applied", "refused")]
    rows.add_row("all", *map(_count, totals), duration(sum(e["seconds"] for e in entries)), style="bold")
    return rows


def parity_line(parity: dict[str, Any] | None) -> Text:
    """One line on whether the result computes the same numbers."""
    if parity is None:
        return Text("not compared with the original (verify is off)", style="yellow")
    if parity["status"] == "proven":
        number = len(parity["samples"])
        inputs = f"{number} input{'s' if number != 1 else ''}"
        worst = f"worst relative error {parity['worst']:.1e}" if parity["worst"] else "no difference at all"
        return Text(f"same numbers on {inputs}, {worst}", style="green")
    if parity["status"] == "not-run":
        return Text(f"not proven: {parity['reason']}", style="yellow")
    return Text(f"different numbers: {parity['reason']}", style="red")


def remarks(account: dict[str, Any], kinds: Sequence[str], pattern: str = "") -> RenderableType:
    """Remarks of some kinds by pass, equal ones together; with a pattern those that it finds, and every place.

    The pattern is a regular expression, looked for in "pass scope/node: text".
    """
    chosen = [r for r in account["remarks"] if r["kind"] in kinds and re.search(pattern, _remark_line(r))]
    grouped: dict[str, dict[tuple[str, str], list[str]]] = {entry["name"]: {} for entry in account["passes"]}
    for remark in chosen:
        texts = grouped.setdefault(remark["pass"], {})
        texts.setdefault((_KINDS[remark["kind"]], remark["text"]), []).append(_place(remark))
    lines: list[RenderableType] = []
    for name, texts in grouped.items():
        lines += [Text(name, style="bold")] if texts else []
        for (kind, text), places in sorted(texts.items(), key=lambda item: item[0][0] != "applied"):
            lines.append(Padding(Text(f"{kind}: {text}"), (0, 0, 0, 2), expand=False))
            if kind != "applied":
                limit = len(places) if pattern else _SHOWN_PLACES
                more = f" and {len(places) - limit} more" if len(places) > limit else ""
                at = Text("at " + ", ".join(places[:limit]) + more, style="dim")
                lines.append(Padding(at, (0, 0, 0, 11), expand=False))
    return Group(*lines) if lines else Text("no remarks" + (f" match {pattern}" if pattern else ""))


def _place(remark: dict[str, Any]) -> str:
    return f"{remark['scope']}/{remark['node']}" if remark["scope"] else str(remark["node"])


def _remark_line(remark: dict[str, Any]) -> str:
    return f"{remark['pass']} {_place(remark)}: {remark['text']}"


def _row(sides: dict[str, Any], show: Any) -> tuple[str, str, Text]:
    before, after = sides["before"], sides["after"]
    change = Text("")
    if before != after:
        percent = 100 * (after - before) / before if before else 0.0
        shown = f"{percent:+.0f} %" if abs(percent) >= 1 else f"{percent:+.1f} %"
        style = "green" if after < before else "yellow"
        change = Text(shown if before else "new", style=style)
    return show(before), show(after), change


def _flops(account: dict[str, Any]) -> tuple[str, str, Text | str]:
    """Work before and after; a change is shown only where both numbers are whole."""
    unknown = account["uncounted"]
    before, after, change = _row(account["flops"], quantity)
    shown = [at_least(before, unknown["before"]), at_least(after, unknown["after"])]
    return shown[0], shown[1], "" if any(unknown.values()) else change


def at_least(number: str, uncounted: int) -> str:
    """A number, marked as too low where some nodes are not in it."""
    return f"> {number}" if uncounted else number


def quantity(number: int) -> str:
    """A number of three digits with a unit: 1234567 is "1.23 M"."""
    if number < 1000:
        return str(number)
    power = min((len(str(number)) - 1) // 3, len(_UNITS) - 1)
    scaled = number / 1000**power
    if scaled >= 999.5 and power < len(_UNITS) - 1:
        power, scaled = power + 1, scaled / 1000
    digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
    return f"{scaled:.{digits}f}{_UNITS[power]}"


def duration(seconds: float) -> str:
    """ "12 ms" or "3.4 s"."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _count(number: int) -> str:
    return str(number) if number else "-"


def flops_title(symbols: list[str]) -> str:
    """ "FLOPs", with the symbolic dimensions that were taken as 1."""
    shown = dict.fromkeys(name if not name.startswith("?") else "unnamed dimensions" for name in symbols)
    return f"FLOPs (with {', '.join(shown)} = 1)" if shown else "FLOPs"
