"""How far nodes fall by merging, eliding Concat and dropping channels, and which pass it is.

    python tests/bench/merging_nodes.py MODELS [--into docs/merging.md]

Every model of the folder and every builder of planish.models is optimized with all passes, without all of those passes,
and without each of them alone; the nodes that stay where one is left out are what that pass brings.
"""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path

import click
import onnx
from comparison_tables import insert, introduction, setting, table
from latency import HORIZONTAL

import planish
from planish.models import BUILDERS, build

_COMMAND = "python tests/bench/merging_nodes.py models --into docs/merging.md"


def measure(model: Path | onnx.ModelProto) -> tuple[list[int], dict[str, tuple[int, int]]]:
    """Nodes of the original, without the passes, with them; pass -> its rewrites, and the nodes that it takes away."""
    result = planish.optimize(model, verify="off")
    rewrites = Counter(r.pass_name for r in result.journal.rewrites() if r.pass_name in HORIZONTAL)
    if not rewrites:
        return [result.before.nodes, result.after.nodes, result.after.nodes], {}
    without = planish.optimize(model, verify="off", skip=list(HORIZONTAL)).after.nodes
    by_pass = {
        name: (count, planish.optimize(model, verify="off", skip=[name]).after.nodes - result.after.nodes)
        for name, count in sorted(rewrites.items())
    }
    return [result.before.nodes, without, result.after.nodes], by_pass


def line(name: str, nodes: list[int], by_pass: dict[str, tuple[int, int]]) -> list[str]:
    told = ", ".join(f"{name} {count}x ({-fewer:+d})" for name, (count, fewer) in by_pass.items())
    return [name, told or "none fires", *(str(n) for n in nodes)]


@click.command()
@click.argument("models", type=click.Path(exists=True, path_type=Path))
@click.option("--into", type=click.Path(exists=True, path_type=Path), help="write the table into this document")
def main(models: Path, into: Path | None) -> None:
    """Tell what merging and eliding bring on the models of a folder and on those that planish builds."""
    sources: dict[str, Path | onnx.ModelProto] = {path.stem: path for path in sorted(models.glob("*.onnx"))}
    sources |= {f"{name} (built)": build(name, seed=0) for name in BUILDERS}
    lines, ratios = [], []
    for name, source in sources.items():
        nodes, by_pass = measure(source)
        lines.append(line(name, nodes, by_pass))
        ratios.append(nodes[2] / nodes[1] if nodes[1] else 1.0)
        click.echo(" ".join(lines[-1]))
    total = f"Geometric mean of the nodes left with and without them: {statistics.geometric_mean(ratios):.3f}."
    head = ["model", "rewrites (change in nodes)", "nodes", "without", "with"]
    if into is not None:
        insert(into, "nodes", f"{introduction(setting(_COMMAND))}\n\n{table(head, lines, 2)}\n\n{total}")
    click.echo(total)


if __name__ == "__main__":
    main()
