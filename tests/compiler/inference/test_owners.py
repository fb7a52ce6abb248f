"""How often facts are inferred again while a body is rewritten."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from survival import parsed

from planish.compiler.graph import Node
from planish.compiler.inference.facts import RULES, Facts
from planish.runtime.optimize import optimize


def test_what_dies_in_a_body_tells_nothing_new_of_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    inferred: list[Node] = []
    rule = RULES["If"]

    def counting(node: Node) -> Sequence[Facts]:
        inferred.append(node)
        return rule(node)

    monkeypatch.setitem(RULES, "If", counting)
    steps = " ".join(f"x{i + 1} = Identity(x{i})" for i in range(20))
    result = optimize(parsed(f"""g (float[2] x0, bool c) => (float[2] y) {{
        y = If(c) <
            then_branch = t () => (float[2] s) {{ {steps} s = Relu(x20) }},
            else_branch = e () => (float[2] r) {{ r = Neg(x0) }}
        >
    }}"""), passes="eliminate-no-ops", verify="off")  # fmt: skip
    assert result.journal.count == 20
    assert len(inferred) == 1
