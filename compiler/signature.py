"""What the standard operators demand of a node: how many inputs and outputs, and which attributes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import onnx.defs
from onnx import NodeProto


class Signature(NamedTuple):
    """The bounds that every node of an operator keeps; those of an operator that is not known let everything pass.

    given_inputs: places of inputs that cannot be omitted. required: attributes without a default.
    """

    fewest_inputs: int = 0
    most_inputs: int = 1 << 31
    most_outputs: int = 1 << 31
    given_inputs: tuple[int, ...] = ()
    required: frozenset[str] = frozenset()


_NO_NODE = Signature(1, 0)


@cache
def signature(op_type: str, version: int) -> Signature:
    """The signature of an operator of the default domain in a version of its operator set."""
    if not 0 < version < 1 << 31 or not isinstance(op_type, str):
        return _NO_NODE
    if not onnx.defs.has(op_type, ""):
        return Signature()
    try:
        schema = onnx.defs.get_schema(op_type, version, "")
    except onnx.defs.SchemaError:  # it came with a later version
        return _NO_NODE
    required = frozenset(name for name, attribute in schema.attributes.items() if attribute.required)
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    given = tuple(place for place, formal in enumerate(schema.inputs) if formal.option == single)
    return Signature(schema.min_input, schema.max_input, schema.max_output, given, required)


def fits(proto: NodeProto, version: int, inputs: Sequence[object]) -> bool:
    """Whether a node of the default domain can be one; `inputs` has None for an omitted one."""
    fewest, most, most_outputs, given, required = signature(proto.op_type, version)
    if not fewest <= len(inputs) <= most or not 0 < len(proto.output) <= most_outputs:
        return False
    if any(place < len(inputs) and inputs[place] is None for place in given):
        return False
    return not required or required <= {attribute.name for attribute in proto.attribute}
