"""The table of optional outputs is what ONNX's schemas say."""

from __future__ import annotations

import onnx

from planish.passes.eliminate_unused_outputs import OPTIONAL_OUTPUTS

OPTIONAL = onnx.defs.OpSchema.FormalParameterOption.Optional


def test_the_table_is_what_the_schemas_say() -> None:
    found: dict[str, set[int]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        optional = {i for i, output in enumerate(schema.outputs) if output.option == OPTIONAL}
        if optional and not schema.domain:
            found.setdefault(schema.name, set()).update(optional)
    assert found == OPTIONAL_OUTPUTS


def test_what_became_optional_later() -> None:
    """Outputs that an older version of an operator requires; the pass knows them."""
    latest = {name: onnx.defs.get_schema(name) for name in OPTIONAL_OUTPUTS}
    later = set()
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.name in latest and not schema.domain:
            required = [i for i, output in enumerate(schema.outputs) if output.option != OPTIONAL]
            later |= {(schema.name, i) for i in required if i in OPTIONAL_OUTPUTS[schema.name]}
    assert later == {("GRU", 1)}
