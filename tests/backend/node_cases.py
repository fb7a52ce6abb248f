"""The node-level cases of ONNX's own backend tests, as they are and in other guises."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from golden.nesting import in_branches, in_function
from onnx import ModelProto, TensorProto, numpy_helper

from planish.runtime.randomness import draws_random_numbers, seeded

Feeds = dict[str, Any]


@dataclass
class Case:
    """A model with one set of inputs, and what the standard says that it gives for them."""

    name: str
    model: ModelProto
    feeds: Feeds
    outputs: tuple[Any, ...] = ()


def _array(value: Any) -> Any:
    """Inputs come as arrays, numpy scalars, protos, and lists of them."""
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, list):
        return [_array(one) for one in value]
    return np.asarray(value) if isinstance(value, np.generic) else value


@functools.cache
def all_cases() -> tuple[Case, ...]:
    """Every case of the installed version of onnx; random nodes get seeds, so that their numbers can be compared."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    cases = []
    for case in sorted(found, key=lambda case: case.name):
        model = seeded(case.model) if draws_random_numbers(case.model) else case.model
        inputs, outputs = (tuple(map(_array, some)) for some in case.data_sets[0])
        cases.append(Case(case.name, model, dict(zip((i.name for i in model.graph.input), inputs)), outputs))
    return tuple(cases)


def as_it_is(case: Case) -> Case:
    return case


def _with_constants(case: Case, keep: int) -> Case:
    """All inputs but the first `keep` are initializers."""
    model = ModelProto()
    model.CopyFrom(case.model)
    feeds = dict(case.feeds)
    for info in list(model.graph.input)[keep:]:
        value = feeds[info.name]
        if isinstance(value, np.ndarray) and info.type.WhichOneof("value") == "tensor_type":
            tensor = numpy_helper.from_array(value, info.name)
            if tensor.data_type == info.type.tensor_type.elem_type:
                model.graph.initializer.append(tensor)
                model.graph.input.remove(info)
                del feeds[info.name]
    model.ir_version = max(model.ir_version, 4)
    return Case(case.name, model, feeds)


def with_constant_inputs(case: Case) -> Case:
    return _with_constants(case, 0)


def with_one_input(case: Case) -> Case:
    return _with_constants(case, 1)


def with_symbolic_sizes(case: Case) -> Case:
    """Every extent of the inputs has a name of its own; nothing is known of the outputs' shapes."""
    model = ModelProto()
    model.CopyFrom(case.model)
    for info in model.graph.input:
        if info.type.WhichOneof("value") == "tensor_type":
            for axis, dim in enumerate(info.type.tensor_type.shape.dim):
                dim.dim_param = f"{info.name}_{axis}"
    for info in model.graph.output:
        if info.type.WhichOneof("value") == "tensor_type":
            for dim in info.type.tensor_type.shape.dim:
                dim.Clear()
    return Case(case.name, model, case.feeds)


def in_the_branches_of_an_if(case: Case) -> Case:
    feeds = {**case.feeds, "condition_of_the_case": np.array(True)}
    return Case(case.name, in_branches(case.model), feeds)


def in_a_function(case: Case) -> Case:
    return Case(case.name, in_function(case.model), case.feeds)


GUISES: dict[str, Callable[[Case], Case]] = {
    guise.__name__: guise
    for guise in (
        as_it_is, with_constant_inputs, with_one_input, with_symbolic_sizes, in_the_branches_of_an_if, in_a_function,
    )
}  # fmt: skip


def interface(model: ModelProto) -> list[tuple[str, bytes]]:
    """Names and declared types of inputs and outputs."""
    infos = [*model.graph.input, *model.graph.output]
    return [(info.name, info.type.SerializeToString(deterministic=True)) for info in infos]


def checked(model: ModelProto) -> bool:
    """True if ONNX's checker takes the model."""
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError:
        return False
    return True
