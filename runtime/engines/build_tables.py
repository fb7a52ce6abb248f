"""What people see of a build: tables made of its report."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..tables import duration, parity_line, quantity, table

_SHOWN = 8  # nodes or findings in a row
_ROLES = {
    "reformat": "change the format of a tensor between others", "cast": "change its precision",
    "unnamed": "name no node, as the steps of a loop do",
}  # fmt: skip
_NOT_IN_KERNELS = ("folded by the builder", "read by the parser", "lost")


def summary(made: dict[str, Any]) -> RenderableType:
    """Totals, messages and the levels of the proof."""
    backend, engine, nodes = made["backend"], made["engine"], made["optimized"]["nodes"]
    rows = table("", "", header=False)
    rows.add_row("backend", f"{backend['flavor']} {backend['version']}, strongly typed")
    rows.add_row("built for", ", ".join(backend["compute_capabilities"]) or "what the library supports by default")
    for text in backend["profiles"]:
        rows.add_row("profile", text)
    rows.add_row("nodes", f"{nodes['before']} in the model, {nodes['after']} when optimized")
    rows.add_row("network", f"{made['network']['layers']} layers")
    rows.add_row("engine", f"{sum(engine['kernels'].values())} kernels: {_census(engine['kernels'])}")
    for role, meaning in _ROLES.items():
        if engine["roles"].get(role):
            rows.add_row("", f"{engine['roles'][role]} of them {meaning}")
    rows.add_row("bytes", f"{quantity(made['bytes']['plan'])} of {quantity(made['bytes']['model'])} in the model")
    rows.add_row("time", ", ".join(f"{name} {duration(taken)}" for name, taken in made["seconds"].items()))
    parts: list[RenderableType] = [rows, ""]
    parts += [Text(f"{m['severity']}: {m['text']}", style="yellow") for m in made["messages"]]
    return Group(*parts, *levels(made["parity"]))


def _census(kernels: dict[str, int]) -> str:
    return ", ".join(f"{number} read {dtype}" for dtype, number in kernels.items())


def levels(parity: dict[str, Any]) -> list[RenderableType]:
    """One line for each level of the proof, and what is worth knowing of the third."""
    titles = {
        "L1": "optimized model against the original", "L2": "TensorRT's network against the optimized model",
        "L3": "inputs, outputs and nodes of the engine", "L4": "engine against the original",
    }  # fmt: skip
    lines: list[RenderableType] = []
    for level, title in titles.items():
        entry = parity[level]
        if level == "L3":
            lines += _structure(f"{level} {title}: ", entry)
        elif entry["status"] == "not-run":
            lines.append(Text(f"{level} {title}: not run, {entry['reason']}", style="yellow"))
        else:
            lines.append(Text(f"{level} {title}: ").append_text(parity_line(entry)))
    return lines


def _structure(title: str, entry: dict[str, Any]) -> list[RenderableType]:
    if entry["status"] == "failed":
        return [Text(f"{title}{text}", style="red") for text in entry["failures"]]
    findings = entry["findings"]
    more = [Text(f"   found: {text}", style="yellow") for text in findings[:_SHOWN]]
    if len(findings) > _SHOWN:
        more.append(Text(f"   and {len(findings) - _SHOWN} more", style="yellow"))
    return [Text(f"{title}as in the model", style="green"), *more]


def kernel_table(made: dict[str, Any]) -> Table:
    """Every kernel in its order: what it reads and writes, and which nodes of the model are in it."""
    rows = table("kernel", "kind", "reads", "writes", "ONNX nodes")
    for layer in made["engine"]["list"]:
        if not layer["is_kernel"]:
            continue
        nodes = ", ".join(layer["nodes"]) or f"({layer['role']})"
        rows.add_row(layer["name"], layer["kind"], _types(layer["inputs"]), _types(layer["outputs"]), nodes)
    return rows


def _types(tensors: list[dict[str, Any]]) -> str:
    return ", ".join(f"{tensor['dtype']}[{','.join(map(str, tensor['shape']))}]" for tensor in tensors)


def left_over(made: dict[str, Any]) -> Table:
    """The nodes that are in no kernel, by what became of them."""
    rows = table("not in a kernel", "operators")
    for fate in _NOT_IN_KERNELS:
        ops = Counter(entry["op"] for entry in made["nodes"].values() if entry["fate"] == fate)
        if ops:
            rows.add_row(fate, ", ".join(f"{number} {op}" for op, number in ops.most_common()))
    return rows
