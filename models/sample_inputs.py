"""Seeded inputs that a model of this package can run on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper


def sample_inputs(
    model: onnx.ModelProto, seed: int = 0, sizes: Mapping[str, int] | None = None
) -> dict[str, np.ndarray]:
    """One array for each input: normal floats, and integers in the range that the builder declared.

    `sizes` gives lengths to symbolic dimensions (2 where it does not; "height" and "width" 24, and the cache's
    "total" is always "past" + "sequence"). Overridable initializers are left out.
    """
    rng = np.random.default_rng(seed)
    limits = {entry.key.removeprefix("below:"): int(entry.value) for entry in model.metadata_props
              if entry.key.startswith("below:")}  # fmt: skip
    lengths = {"height": 24, "width": 24, "sequence": 7, "past": 3, **(sizes or {})}
    lengths["total"] = lengths["past"] + lengths["sequence"]
    held = {weight.name for weight in model.graph.initializer}
    arrays: dict[str, np.ndarray] = {}
    for value in model.graph.input:
        if value.name in held:
            continue
        tensor = value.type.tensor_type
        shape = [lengths.get(dim.dim_param, 2) if dim.dim_param else dim.dim_value for dim in tensor.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if np.issubdtype(dtype, np.integer):
            arrays[value.name] = rng.integers(0, limits.get(value.name, 2), shape).astype(dtype)
        else:
            arrays[value.name] = rng.standard_normal(shape).astype(dtype)
    return arrays
