"""The account of a run as plain data: what `--json` prints and what every table is made of.

    schema        1; it rises when a key changes its meaning or goes
    planish       version
    source, saved paths of the files read and written, or null
    pipeline, target
    opsets        {domain: {before, after}}
    ops           {operator: {before, after}}, Constant left out; functions and bodies are counted
    nodes, flops, parameters, weight_bytes, moved_bytes, file_bytes: {before, after}
    symbols       dimensions that were taken as 1 for flops and moved_bytes
    uncounted     {before, after}: nodes whose work is not known, so that flops and moved_bytes are too low
    passes        [{name, runs, applied, refused, seconds}] in the order of the pipeline
    rewrites      [{number, pass, node, scope, removed, added, changed, note}], nodes as [operator, name]
    remarks       [{kind, pass, node, scope, text}], kind: applied, missed or analysis
    parity        {status, reason, samples, notes, worst, outputs: [{name, absolute, relative}]}, null if not compared
    held_back     {pass@scope/node: what was wrong} of the rewrites that were taken back
    seconds       {optimize, verify}
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

from ..compiler.journal import Journal
from .parity import ParityReport
from .statistics import Statistics

if TYPE_CHECKING:
    from .result import Result

SCHEMA = 1


def account(result: Result) -> dict[str, Any]:
    """The account of a result."""
    before, after = result.before, result.after
    return {
        "schema": SCHEMA,
        "planish": importlib.metadata.version("planish"),
        "source": result.source or None,
        "saved": result.saved or None,
        "pipeline": result.pipeline,
        "target": result.target,
        "opsets": _sides(before.opsets, after.opsets),
        "ops": _sides(before.ops, after.ops),
        "nodes": _side(before.nodes, after.nodes),
        "flops": _side(before.flops, after.flops),
        "parameters": _side(before.parameters, after.parameters),
        "weight_bytes": _side(before.weight_bytes, after.weight_bytes),
        "moved_bytes": _side(before.moved_bytes, after.moved_bytes),
        "file_bytes": _side(result.source_bytes or None, result.saved_bytes or None),
        "symbols": list(after.symbols),
        "uncounted": _side(before.uncounted, after.uncounted),
        "passes": _passes(result.journal),
        "rewrites": _rewrites(result.journal),
        "remarks": [
            {"kind": r.kind, "pass": r.pass_name, "node": r.node, "scope": r.scope, "text": r.text}
            for r in result.journal.remarks
        ],
        "parity": parity_account(result.parity),
        "held_back": dict(result.held_back),
        "seconds": {"optimize": result.seconds, "verify": result.verify_seconds},
    }


def statistics_of(found: Statistics) -> dict[str, Any]:
    """The numbers of one model, as `planish inspect --json` prints them."""
    return {
        "opsets": dict(found.opsets),
        "ops": dict(sorted(found.ops.items())),
        "nodes": found.nodes,
        "flops": found.flops,
        "parameters": found.parameters,
        "weight_bytes": found.weight_bytes,
        "moved_bytes": found.moved_bytes,
        "symbols": list(found.symbols),
        "uncounted": found.uncounted,
    }


def _side(before: Any, after: Any) -> dict[str, Any]:
    return {"before": before, "after": after}


def _sides(before: dict[str, int], after: dict[str, int]) -> dict[str, Any]:
    return {name: _side(before.get(name, 0), after.get(name, 0)) for name in sorted({*before, *after})}


def _passes(journal: Journal) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for run in journal.runs:
        entry = found.setdefault(run.name, {"name": run.name, "runs": 0, "applied": 0, "refused": 0, "seconds": 0.0})
        entry["runs"] += 1
        entry["applied"] += len(run.rewrites)
        entry["seconds"] += run.seconds
    for remark in journal.remarks:
        if remark.kind == "missed" and remark.pass_name in found:
            found[remark.pass_name]["refused"] += 1
    return list(found.values())


def _rewrites(journal: Journal) -> list[dict[str, Any]]:
    return [
        {
            "number": r.number, "pass": r.pass_name, "node": r.anchor, "scope": r.scope,
            "removed": [list(n) for n in r.removed], "added": [list(n) for n in r.added],
            "changed": [list(n) for n in r.changed], "note": r.note,
        }
        for r in journal.rewrites()
    ]  # fmt: skip


def parity_account(report: ParityReport | None) -> dict[str, Any] | None:
    """A comparison as plain data; None where there was none."""
    if report is None:
        return None
    return {
        "status": report.status,
        "reason": report.reason,
        "samples": list(report.samples),
        "notes": list(report.notes),
        "worst": report.worst,
        "outputs": [{"name": e.name, "absolute": e.absolute, "relative": e.relative} for e in report.errors],
    }
