"""The inputs that proofs draw by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from planish.runtime.samples import KINDS, draw


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (2, 3)], ids=str)
@pytest.mark.parametrize(
    "dtype", [TensorProto.BOOL, TensorProto.INT64, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.STRING]
)
def test_every_input_is_an_array_of_its_type_and_shape(dtype: int, shape: tuple[int, ...], kind: str) -> None:
    graph = helper.make_graph([], "g", [helper.make_tensor_value_info("x", dtype, shape)], [])
    feeds = draw(graph, kind, {}, seed=0)
    assert feeds is not None
    assert isinstance(feeds["x"], np.ndarray)
    assert feeds["x"].shape == shape
    assert feeds["x"].dtype == helper.tensor_dtype_to_np_dtype(dtype)
