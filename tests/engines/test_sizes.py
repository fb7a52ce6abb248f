"""Open dimensions of models and sizes of profiles, brought together."""

from __future__ import annotations

import onnx.parser
import pytest

from planish.compiler.reading import load
from planish.runtime.engines.profiles import parse_profile
from planish.runtime.engines.sizes import fixed_sizes, forget_placeholders


def model(inputs: str, names: str = "x"):  # type: ignore[no-untyped-def]
    proto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g ({inputs}) => (float[M] y) {{ y = Identity ({names}) }}'
    )
    return load(proto)


@pytest.mark.parametrize(
    "profiles, fixed",
    [
        (["x=2x3"], {"x": (2, 3)}),
        (["x=1x3:2x3:4x3"], {"x": ("?", 3)}),
        (["x=1x3:2x3:4x3", "x=5x3"], {}),
        (["n=4"], {}),
        ([], {}),
    ],
)
def test_what_the_only_profile_leaves_no_choice_of_is_fixed(profiles: list[str], fixed: dict) -> None:
    assert fixed_sizes(model("float[N,3] x, int64[1] n"), [parse_profile(text) for text in profiles]) == fixed


def test_placeholders_of_exporters_are_no_names() -> None:
    graph = model("float[N,3] x").graph
    declared = graph.inputs[0].declared
    assert declared is not None
    for name, kept in (("?", ""), ("", ""), ("-1", ""), ("batch", "batch")):
        dim = declared.tensor_type.shape.dim[0]
        dim.dim_param = name
        forget_placeholders(graph.model)
        now = graph.inputs[0].declared
        assert now is not None and now.tensor_type.shape.dim[0].dim_param == kept
        declared = now
    declared.tensor_type.shape.dim[0].dim_value = -1
    forget_placeholders(graph.model)
    now = graph.inputs[0].declared
    assert now is not None and now.tensor_type.shape.dim[0].WhichOneof("value") is None
