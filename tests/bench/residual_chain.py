"""How time grows with the number of nodes: residual chains of 2,100 and 21,000 nodes, planish and onnxsim in turn.

    python tests/bench/residual_chain.py [--python PEERS/bin/python] [--tools planish,onnxsim] [--blocks 300,3000]

A block is Conv, BatchNormalization, Relu, Conv, BatchNormalization, Add, Relu on four channels, so that the graph and
not the weights is what takes time. Each tool runs in a process of its own; the time is that of the optimize call.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import onnx
from compare_peers import count_nodes, run_tool
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


@click.command()
@click.option("--python", default=sys.executable, help="interpreter that has the peers installed")
@click.option("--tools", default="planish,onnxsim", help="comma-separated")
@click.option("--blocks", default="300,3000", help="comma-separated lengths")
@click.option("--rounds", default=3, help="each tool runs so often, in turn")
def main(python: str, tools: str, blocks: str, rounds: int) -> None:
    """Time optimizers on residual chains."""
    with tempfile.TemporaryDirectory() as folder:
        for length in map(int, blocks.split(",")):
            path = Path(folder) / f"chain_{length}.onnx"
            onnx.save(residual_chain(length), path)
            best: dict[str, float] = {}
            left: dict[str, int] = {}
            for _ in range(rounds):
                for tool in tools.split(","):
                    target = Path(folder) / f"{tool}.onnx"
                    row = run_tool(sys.executable if tool == "planish" else python, tool, path, target, 600)
                    if "seconds" in row:
                        best[tool] = min(best.get(tool, row["seconds"]), row["seconds"])
                        left[tool] = sum(count_nodes(onnx.load(str(target))))
            for tool, seconds in best.items():
                click.echo(f"{7 * length} nodes: {tool} {seconds:.3f} s, {left[tool]} nodes left")


if __name__ == "__main__":
    main()
