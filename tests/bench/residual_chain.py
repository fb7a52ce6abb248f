"""How time grows with the number of nodes: residual chains of 2,100 and 21,000 nodes, planish and onnxsim in turn.

    python tests/bench/residual_chain.py [--python PEERS/bin/python] [--tools planish,onnxsim] [--blocks 300,3000]

A block is Conv, BatchNormalization, Relu, Conv, BatchNormalization, Add, Relu on four channels, so that the graph and
not the weights is what takes time. Each tool runs in a process of its own; the time is that of the optimize call.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from compare_peers import count_nodes, fastest, run_tool
from comparison_tables import insert, introduction, setting, table
from onnx import TensorProto, helper, numpy_helper

_CHANNELS = 4


def residual_chain(blocks: int) -> onnx.ModelProto:
    """A model of 7 * blocks nodes."""
    generator = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def weight(name: str, *shape: int, positive: bool = False) -> str:
        array = generator.standard_normal(shape).astype(np.float32) * 0.1
        weights.append(numpy_helper.from_array(np.abs(array) + 1 if positive else array, name))
        return name

    def conv_norm(x: str, prefix: str) -> str:
        nodes.append(helper.make_node(
            "Conv", [x, weight(f"{prefix}.w", _CHANNELS, _CHANNELS, 3, 3)], [f"{prefix}.conv"], f"{prefix}.conv",
            pads=[1, 1, 1, 1],
        ))  # fmt: skip
        parameters = [weight(f"{prefix}.{name}", _CHANNELS, positive=name == "var") for name in ("s", "b", "m", "var")]
        inputs = [f"{prefix}.conv", *parameters]
        nodes.append(helper.make_node("BatchNormalization", inputs, [f"{prefix}.norm"], f"{prefix}.norm"))
        return f"{prefix}.norm"

    x = "x"
    for block in range(blocks):
        first = conv_norm(x, f"b{block}.1")
        nodes.append(helper.make_node("Relu", [first], [f"b{block}.r"], f"b{block}.relu"))
        second = conv_norm(f"b{block}.r", f"b{block}.2")
        nodes.append(helper.make_node("Add", [second, x], [f"b{block}.a"], f"b{block}.add"))
        nodes.append(helper.make_node("Relu", [f"b{block}.a"], [f"b{block}.y"], f"b{block}.out"))
        x = f"b{block}.y"
    shape = ["N", _CHANNELS, 8, 8]
    inputs, outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", x))
    graph = helper.make_graph(nodes, "residual_chain", [inputs], [outputs], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def time_tools(interpreters: dict[str, str], blocks: int, rounds: int, folder: Path) -> dict[str, dict[str, Any]]:
    """The best of all rounds on one chain, and the nodes that are left."""
    path = folder / f"chain_{blocks}.onnx"
    onnx.save(residual_chain(blocks), path)
    runs: dict[str, list[dict[str, Any]]] = {tool: [] for tool in interpreters}
    for _ in range(rounds):
        for tool, python in interpreters.items():
            runs[tool].append(run_tool(python, tool, path, folder / f"{tool}.onnx", timeout=600))
    best = {tool: fastest(rows) for tool, rows in runs.items()}
    for tool, cell in best.items():
        if "seconds" in cell:
            cell["nodes"] = sum(count_nodes(onnx.load(str(folder / f"{tool}.onnx"))))
    return best


def chains_section(where: dict[str, str], measured: dict[int, dict[str, dict[str, Any]]]) -> str:
    """The measurements as a table: one line per chain and tool."""
    first = next(iter(measured.values()))
    lines = []
    for blocks, tools in measured.items():
        for tool, cell in tools.items():
            if "seconds" not in cell:
                lines.append([tool, str(7 * blocks), cell["verdict"], "-", "-", "-"])
                continue
            growth = f"{cell['seconds'] / first[tool]['seconds']:.1f}" if "seconds" in first[tool] else "-"
            lines.append([
                f"{tool} {cell['version']}", str(7 * blocks), str(cell["nodes"]), f"{cell['seconds']:.3f}", growth,
                f"{cell['peak_mib']:.0f}",
            ])  # fmt: skip
    head = ["tool", "nodes", "nodes left", "seconds", "times the first", "peak MiB"]
    return f"{introduction(where)}\n\n{table(head, lines)}"


@click.command()
@click.option("--python", default=sys.executable, help="interpreter that has the peers installed")
@click.option("--tools", default="planish,onnxsim", help="comma-separated")
@click.option("--blocks", default="300,3000", help="comma-separated lengths")
@click.option("--rounds", default=3, help="each tool runs so often, in turn")
@click.option("--into", type=click.Path(exists=True, path_type=Path), help="write the table into this document")
def main(python: str, tools: str, blocks: str, rounds: int, into: Path | None) -> None:
    """Time optimizers on residual chains."""
    interpreters = {tool: sys.executable if tool == "planish" else python for tool in tools.split(",")}
    command = "python tests/bench/residual_chain.py --python peers/bin/python --into docs/comparison.md"
    with tempfile.TemporaryDirectory() as folder:
        measured = {
            length: time_tools(interpreters, length, rounds, Path(folder)) for length in map(int, blocks.split(","))
        }
    text = chains_section(setting(command), measured)
    if into:
        insert(into, "chains", text)
    click.echo(text)


if __name__ == "__main__":
    main()
