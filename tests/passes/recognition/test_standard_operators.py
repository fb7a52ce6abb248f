"""The table of operators says what the schemas of onnx say."""

from __future__ import annotations

import onnx
import pytest

from planish.compiler import dtypes
from planish.passes.recognition.standard_operators import FIRST_VERSION, first_version, takes

HISTORY: dict[str, list[onnx.defs.OpSchema]] = {}
for _schema in onnx.defs.get_all_schemas_with_history():
    if _schema.domain == "":
        HISTORY.setdefault(_schema.name, []).append(_schema)


@pytest.mark.parametrize("op_type", sorted(FIRST_VERSION))
def test_table(op_type: str) -> None:
    versions = HISTORY[op_type]
    assert first_version(op_type) == min(schema.since_version for schema in versions)
    for schema in versions:
        assert {"tensor(float16)", "tensor(float)", "tensor(double)"} <= set(schema.inputs[0].types)


def test_an_operator_that_is_not_in_the_table() -> None:
    assert "Erf" not in FIRST_VERSION
    assert first_version("Erf") == 9


@pytest.mark.parametrize(
    ("op_type", "opset", "dtype", "expected"),
    [
        ("HardSigmoid", 21, dtypes.BFLOAT16, False),
        ("HardSigmoid", 22, dtypes.BFLOAT16, True),
        ("MatMul", 8, dtypes.INT64, False),
        ("MatMul", 9, dtypes.INT64, True),
        ("Gelu", 20, dtypes.INT64, False),
        ("Erf", 9, dtypes.BOOL, False),
    ],
)
def test_types(op_type: str, opset: int, dtype: int, expected: bool) -> None:
    assert takes(op_type, opset, dtype) is expected
