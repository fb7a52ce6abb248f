"""The report of a build as plain data, which is OUT.build.json and what every table is made of.

    schema          1; it rises when a key changes its meaning or goes
    planish, source versions and path
    backend         {flavor, version, strongly_typed, flags, compute_capabilities, profiles}
    optimized       {pipeline, nodes: {before, after}, held_back, findings}
    messages        [{severity, node, name, op, code, text, functions}] of the parser and the builder, word for word
    network         {layers, kinds, list: [{name, kind, nodes, outputs}]} what the parser made of the model
    engine          {layers, kernels by dtype, roles, list: [{name, kind, inputs, constants, outputs, tactic, stream,
                    nodes, role, is_kernel}]}; `nodes` are the ONNX nodes fused in a layer, `role` is "compute" where
                    there are some, "cast" and "reformat" for what the builder added, else "unnamed" (steps of loops)
    nodes           {name: {op, origins, fate, kernels}} of the optimized model
    bindings        {name: [Input or Output, dtype, shape]}
    bytes           {source, model, plan}
    sha256          of the plan; two builds of one model may differ in a byte
    seconds         {optimize, parse, lift, build}
    parity          {L1, L2, L3, L4}, each with a status of its own
    executed        whether the engine has been run: false where it was only built
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from typing import Any

from ..account import parity_account
from ..result import Result
from .adapter import cuda_devices
from .structure import check_structure, fates
from .worker import Answer, Request

SCHEMA = 1
NO_DEVICE = "no CUDA device"
LEFT_TO_CHECK = "`planish check` runs the engine"


def report(
    result: Result, request: Request, answer: Answer, lowering: dict[str, Any], *, source: str, plan: dict[str, Any],
    seconds: float,
) -> dict[str, Any]:  # fmt: skip
    """Everything that is known of a build; `lowering` is level 2 of the proof."""
    nodes = fates(result.model, answer.network, answer.engine)
    structure = check_structure(result.model, answer.bindings, nodes, answer.engine)
    return {
        "schema": SCHEMA,
        "planish": importlib.metadata.version("planish"),
        "source": source,
        "backend": {
            "flavor": answer.backend, "version": answer.version, "strongly_typed": True, "flags": list(request.flags),
            "compute_capabilities": list(request.compute_capabilities), "profiles": list(request.profiles),
        },
        "optimized": {
            "pipeline": result.pipeline, "nodes": {"before": result.before.nodes, "after": result.after.nodes},
            "held_back": dict(result.held_back),
            "findings": [
                {"node": r.node, "scope": r.scope, "text": r.text} for r in result.remarks if r.kind == "analysis"
            ],
        },
        "messages": answer.messages,
        "network": {
            "layers": len(answer.network), "kinds": dict(Counter(layer["kind"] for layer in answer.network)),
            "list": answer.network,
        },
        "engine": {
            "layers": len(answer.engine), "kernels": answer.kernels,
            "roles": answer.roles, "list": answer.engine,
        },
        "nodes": nodes,
        "bindings": answer.bindings,
        "bytes": {"source": result.source_bytes, "model": result.saved_bytes, "plan": plan["bytes"]},
        "sha256": plan["sha256"],
        "seconds": {"optimize": seconds, **answer.seconds},
        "parity": {
            "L1": parity_account(result.parity) or {"status": "not-run", "reason": "verify is off"},
            "L2": lowering,
            "L3": structure,
            "L4": {"status": "not-run", "reason": LEFT_TO_CHECK if cuda_devices() else NO_DEVICE},
        },
        "executed": False,
    }  # fmt: skip
