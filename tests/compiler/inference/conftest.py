"""Compares what inference claims of a model with the tensors that the model really produces."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

from planish.compiler import dtypes, symbolic
from planish.compiler.graph import Value
from planish.compiler.inference import infer_model
from planish.compiler.reading import load


class Claims:
    """The facts of one model under one binding of its symbols; unknown symbols are bound where they first occur."""

    def __init__(self, proto: ModelProto, arrays: Sequence[object], naming: str) -> None:
        self.sizes: dict[str, int] = {}
        self.proto = ModelProto()
        self.proto.CopyFrom(proto)
        for info in self.proto.graph.output:
            info.type.ClearField("value")
        if naming:
            for info, array in zip(self.proto.graph.input, arrays):
                self._make_symbolic(info, array, naming)
        self.model = load(self.proto)
        infer_model(self.model)

    def _make_symbolic(self, info, array, naming: str) -> None:
        if not isinstance(array, np.ndarray) or info.type.WhichOneof("value") != "tensor_type":
            return
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            name = f"{info.name}_{axis}" if naming == "distinct" else f"s{array.shape[axis]}"
            dim.dim_param = name = "".join(c if c.isalnum() else "_" for c in name)
            self.sizes[name] = array.shape[axis]

    def contradictions(self, value: Value, array: object) -> list[str]:
        """What is claimed of `value` and not true of `array`."""
        if isinstance(array, TensorProto):
            array = numpy_helper.to_array(array)
        elif isinstance(array, np.generic):
            array = np.asarray(array)
        if not isinstance(array, np.ndarray):
            return [] if value.shape is None and not value.dtype else [f"{value.name}: {value.shape} is no tensor"]
        found = []
        real = dtypes.of_array(array)
        if value.dtype and value.dtype != real:
            found.append(f"{value.name}: type {dtypes.name_of(value.dtype)} is {dtypes.name_of(real)}")
        if value.shape is not None and not self._agrees(value.shape, array.shape):
            found.append(f"{value.name}: shape {value.shape} is {array.shape} with {self.sizes}")
        if value.content is not None and not self._agrees(value.content, tuple(int(x) for x in array.ravel())):
            found.append(f"{value.name}: content {value.content} is {array.ravel()}")
        return found

    def _agrees(self, claimed: Sequence[symbolic.Dim], real: Sequence[int]) -> bool:
        if len(claimed) != len(real):
            return False
        for dim, size in zip(claimed, real):
            unbound = symbolic.symbols(dim) - self.sizes.keys()
            if len(unbound) == 1 and dim == symbolic.symbol(next(iter(unbound))):
                self.sizes[next(iter(unbound))] = size
            elif not unbound and symbolic.evaluate(dim, self.sizes) != size:
                return False
        return True


def contradictions(proto: ModelProto, inputs: Sequence[object], outputs: Sequence[object]) -> list[str]:
    """Claims that do not hold, with numbers, with one symbol per extent, and with one symbol per size."""
    found: list[str] = []
    for naming in ("", "distinct", "shared"):
        claims = Claims(proto, inputs, naming)
        for value, array in zip(claims.model.graph.outputs, outputs):
            found += [f"{naming or 'numbers'}: {text}" for text in claims.contradictions(value, array)]
    return found


@pytest.fixture(scope="session")
def backend_cases() -> list:
    """The node cases of the onnx package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return collect_testcases(None)


@pytest.fixture(scope="session")
def check_backend(backend_cases: list) -> Callable[[frozenset[str]], tuple[int, list[str]]]:
    """(number of cases compared, contradictions) over all cases in which one of these operators occurs."""

    def check(ops: frozenset[str]) -> tuple[int, list[str]]:
        compared, found = 0, []
        for case in backend_cases:
            if case.model is None or not ops.intersection(node.op_type for node in case.model.graph.node):
                continue
            for inputs, outputs in case.data_sets:
                compared += 1
                found += [f"{case.name}: {text}" for text in contradictions(case.model, inputs, outputs)]
        return compared, found

    return check


@pytest.fixture(scope="session")
def contradicted() -> Callable[[ModelProto, Sequence[object], Sequence[object]], list[str]]:
    return contradictions
