"""How many inputs and outputs the standard operators have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import onnx.defs


@cache
def bounds(op_type: str, version: int) -> tuple[int, int, int]:
    """(fewest inputs, most inputs, most outputs) of an operator of the default domain; anything if it is unknown."""
    try:
        schema = onnx.defs.get_schema(op_type, version, "")
    except onnx.defs.SchemaError:
        return 0, 1 << 31, 1 << 31
    return schema.min_input, schema.max_input, schema.max_output


def fits(op_type: str, version: int, inputs: Sequence[object], outputs: int) -> bool:
    """Whether an operator of the default domain can have these inputs, None for an omitted one, and so many outputs."""
    fewest, most, most_outputs = bounds(op_type, version)
    return fewest <= len(inputs) <= most and 0 < outputs <= most_outputs and None not in inputs[:fewest]
