"""Every link, tried out: where a block of an input is changed, only the linked block of the output may change."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

from planish.compiler import symbolic
from planish.compiler.inference import infer_model
from planish.compiler.reading import load
from planish.compiler.segments import Link, links

_LARGEST = 20_000  # elements of an input; larger cases only repeat smaller ones
_UNSTEADY = ("dropout", "training", "bernoulli", "random")


def _cases() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = collect_testcases("")
    return [c for c in every if c.model is not None and len(c.model.graph.node) == 1 and c.data_sets
            and not any(word in c.name for word in _UNSTEADY) and "_expanded" not in c.name]  # fmt: skip


def _session(proto: ModelProto) -> onnxruntime.InferenceSession | None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # an operator that ONNX Runtime does not have
        return None


class Trial:
    """A one-node model whose integer parameters are constants and whose extents may be symbols named by their size."""

    def __init__(self, proto: ModelProto, arrays: list[np.ndarray], symbolic_extents: bool) -> None:
        self.proto = ModelProto()
        self.proto.CopyFrom(proto)
        graph = self.proto.graph
        self.feeds: dict[str, np.ndarray] = {}
        self.sizes: dict[str, int] = {}
        for position, (info, array) in enumerate(zip(list(graph.input), arrays)):
            if position and array.dtype.kind in "iu" and array.ndim <= 1:
                graph.initializer.append(numpy_helper.from_array(array, info.name))
                graph.input.remove(info)
                continue
            self.feeds[info.name] = array
            if symbolic_extents:
                for dim, size in zip(info.type.tensor_type.shape.dim, array.shape):
                    if size > 1:
                        dim.dim_param = f"s{size}"
                        self.sizes[f"s{size}"] = size
        for info in graph.output:
            info.type.tensor_type.ClearField("shape")
        self.model = load(self.proto)
        infer_model(self.model)
        self.node = next(iter(self.model.graph))

    def number(self, dim: symbolic.Dim) -> int:
        return dim if isinstance(dim, int) else symbolic.evaluate(dim, self.sizes)

    def outputs(self, session: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [o.name for o in session.get_outputs()]
        return dict(zip(names, session.run(names, feeds)))

    def blocks(self, link: Link) -> Iterator[tuple[slice, slice]]:
        """(positions of the input, positions of the output) of the first, the last and a middle block."""
        count, a, b = self.number(link.count), self.number(link.in_block), self.number(link.out_block)
        start, at = self.number(link.in_start), self.number(link.out_start)
        for i in sorted({0, count // 2, count - 1} & set(range(count))):
            yield slice(start + i * a, start + (i + 1) * a), slice(at + i * b, at + (i + 1) * b)


def _index(axis: int, positions: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, positions)


def _disturbed(array: np.ndarray, where: tuple[slice, ...]) -> np.ndarray:
    changed = array.copy()
    part = changed[where]
    if array.dtype.kind == "b":
        changed[where] = ~part
    elif array.dtype.kind in "iu":
        changed[where] = part[..., ::-1] if part.ndim else part  # only numbers that are there: they may be indices
    else:
        changed[where] = (part * 3 + 1).astype(array.dtype)
    return changed


def _wrong(trial: Trial, session: onnxruntime.InferenceSession) -> list[str]:
    found = []
    try:
        plain = trial.outputs(session, trial.feeds)
    except Exception:  # the specification allows what ONNX Runtime does not
        return []
    known = links(trial.node)
    for link in known:
        source, target = trial.node.inputs[link.input], trial.node.outputs[link.output]
        if source is None or target is None or source.name not in trial.feeds:
            continue
        before = plain[target.name]
        for positions, _ in trial.blocks(link):
            where = _index(link.in_axis, positions)
            after = trial.outputs(session, {**trial.feeds, source.name: _disturbed(trial.feeds[source.name], where)})
            free = np.ones(before.shape[link.out_axis], bool)
            for other in known:
                if (other.input, other.in_axis, other.output, other.out_axis) == (
                    link.input, link.in_axis, link.output, link.out_axis,
                ):  # fmt: skip
                    for inside, result in _all_blocks(trial, other):
                        if inside.start < positions.stop and positions.start < inside.stop:
                            free[result] = False
            keep = (*(slice(None),) * link.out_axis, free)
            if not np.array_equal(before[keep], after[target.name][keep], equal_nan=before.dtype.kind == "f"):
                found.append(f"{link}: changing {positions} changes more")
        if link.moved:
            for positions, result in trial.blocks(link):
                one = trial.feeds[source.name][_index(link.in_axis, positions)]
                two = before[_index(link.out_axis, result)]
                if one.size != two.size or sorted(one.ravel().tolist(), key=repr) != sorted(
                    two.ravel().tolist(), key=repr
                ):
                    found.append(f"{link}: {positions} is not just moved to {result}")
    return found


def _all_blocks(trial: Trial, link: Link) -> Iterator[tuple[slice, slice]]:
    a, b = trial.number(link.in_block), trial.number(link.out_block)
    start, at = trial.number(link.in_start), trial.number(link.out_start)
    for i in range(trial.number(link.count)):
        yield slice(start + i * a, start + (i + 1) * a), slice(at + i * b, at + (i + 1) * b)


@pytest.mark.parametrize("symbolic_extents", [False, True], ids=["numbers", "symbols"])
def test_links_of_the_backend_cases(symbolic_extents: bool) -> None:
    tried: set[str] = set()
    wrong: list[str] = []
    for case in _cases():
        inputs = case.data_sets[0][0]
        if not all(isinstance(x, np.ndarray) and x.size <= _LARGEST for x in inputs):
            continue
        if any(x.dtype.kind not in "fiub" for x in inputs):
            continue
        trial = Trial(case.model, list(inputs), symbolic_extents)
        if not links(trial.node):
            continue
        session = _session(trial.proto)
        if session is None:
            continue
        tried.add(trial.node.op)
        wrong += [f"{case.name}: {text}" for text in _wrong(trial, session)]
    assert not wrong, "\n".join(wrong[:20])
    assert len(tried) > 100
