"""The numpy kernels of constant folding give the same bits as the kernels of ONNX Runtime."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from planish.compiler.errors import EvaluationError
from planish.compiler.inference import infer_model
from planish.compiler.reading import load
from planish.passes.folding.exact_kernels import _KERNELS, compute
from planish.passes.folding.exact_movement import Undefined
from planish.runtime.evaluator import OrtEvaluator

GENERATOR = np.random.default_rng(7)
FLOATS = np.array([0.0, -0.0, 1.5, -2.5, 0.5, np.inf, -np.inf, np.nan, 3e-39, 65504.0, 1 / 3, -7.0])
INTS = np.array([0, 1, -1, 2, 3, -3, 5, 7, 100, -128, 127, 4])
I64 = np.int64


def numbers(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return GENERATOR.integers(0, 2, shape).astype(bool)
    pool = FLOATS if kind.kind == "f" else np.abs(INTS) if kind.kind == "u" else INTS
    return GENERATOR.choice(pool, shape).astype(kind)


def check(op: str, inputs: list[np.ndarray | None], outputs: int = 1, opset: int = 17, **attributes: object) -> bool:
    """Compare both; False if numpy leaves the case to the backend."""
    names = ["" if a is None else f"i{k}" for k, a in enumerate(inputs)]
    node = helper.make_node(op, names, [f"o{k}" for k in range(outputs)], **attributes)
    weights = [numpy_helper.from_array(a, n) for a, n in zip(inputs, names, strict=True) if a is not None]
    infos = [onnx.ValueInfoProto(name=f"o{k}") for k in range(outputs)]
    graph = helper.make_graph([node], "g", [], infos, weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    proto = onnx.shape_inference.infer_shapes(proto)
    model = load(proto)
    infer_model(model)
    found = compute(next(iter(model.graph)), inputs)
    if found is None:
        return False
    try:
        wanted = OrtEvaluator().evaluate(proto)
    except EvaluationError:
        return True  # ONNX Runtime has no kernel for the type
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape, (op, attributes)
        same = np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")
        assert same and (mine.dtype.kind != "f" or np.array_equal(np.signbit(mine), np.signbit(theirs))), (op, inputs)
    return True


SHAPES = [((4, 3), (4, 3)), ((4, 3), (3,)), ((1, 3), (4, 1)), ((), (2, 2)), ((0, 3), (3,)), ((), ())]
NUMERIC = ["float32", "float64", "float16", "int32", "int64", "int8", "uint8"]


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal"])
def test_binary(op: str) -> None:
    for dtype, (left, right) in itertools.product(NUMERIC, SHAPES):
        if np.dtype(dtype).kind == "f":
            one, other = numbers(dtype, left), numbers(dtype, right)
            assert check(op, [np.nan_to_num(one, posinf=2), np.nan_to_num(other, posinf=3)]), (op, dtype)
        else:
            assert check(op, [numbers(dtype, left), numbers(dtype, right)]), (op, dtype)


def test_division() -> None:
    for dtype, (left, right) in itertools.product(NUMERIC, SHAPES):
        divisor = numbers(dtype, right)
        divisor = np.where(divisor == 0, 3, divisor).astype(dtype)
        dividend = numbers(dtype, left)
        dividend = np.where(dividend == -128, 1, dividend).astype(dtype)
        kind = np.dtype(dtype).kind
        assert check("Div", [np.nan_to_num(dividend), np.nan_to_num(divisor)] if kind == "f" else [dividend, divisor])
        if kind != "f":
            assert check("Mod", [numbers(dtype, left), divisor])
            assert check("Mod", [numbers(dtype, left), divisor], fmod=1)


def test_division_by_zero_is_left_to_nobody() -> None:
    for op in ("Div", "Mod"):
        with pytest.raises(Undefined):
            check(op, [np.array([1, 2], I64), np.array([1, 0], I64)])
    with pytest.raises(Undefined):
        check("Div", [np.array([-(2**31)], np.int32), np.array([-1], np.int32)])
    assert check("Div", [np.array([1, -1, 0], np.float32), np.array([0, 0, 0], np.float32)])


@pytest.mark.parametrize("op", ["And", "Or", "Xor", "Equal"])
def test_logical(op: str) -> None:
    for left, right in SHAPES:
        assert check(op, [numbers("bool", left), numbers("bool", right)])


@pytest.mark.parametrize("op", ["Neg", "Abs", "Sqrt", "Floor", "Ceil", "Round", "Reciprocal", "Sign"])
def test_unary(op: str) -> None:
    for dtype, shape in itertools.product(["float32", "float64", "int32", "int64", "int8"], [(5,), (), (0, 2)]):
        integer = np.dtype(dtype).kind == "i"
        covered = op in ("Neg", "Abs") or integer == (op == "Sign")
        array = numbers(dtype, shape)
        assert check(op, [np.where(array == -128, 1, array).astype(dtype)]) is covered, (op, dtype)


@pytest.mark.parametrize("op", ["Sum", "Max", "Min"])
def test_variadic(op: str) -> None:
    for dtype in ("int32", "int64"):
        assert check(op, [numbers(dtype, (4, 3)), numbers(dtype, (3,)), numbers(dtype, ())])
    assert not check(op, [numbers("float32", (4, 3)), numbers("float32", (3,))])


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin"])
def test_reductions(op: str) -> None:
    for dtype, keep in itertools.product(["int32", "int64"], [0, 1]):
        array = GENERATOR.integers(-2, 3, (2, 3, 4)).astype(dtype)
        if op == "ReduceSum":
            assert check(op, [array, np.array([1, -1], I64)], keepdims=keep)
            assert check(op, [array, np.array([], I64)], keepdims=keep, noop_with_empty_axes=1)
            assert check(op, [array], keepdims=keep)
        else:
            assert check(op, [array], axes=[0, -1], keepdims=keep)
            assert check(op, [array, np.array([2], I64)], opset=18, keepdims=keep)


def test_overflow_is_left_to_the_backend() -> None:
    large = np.full((3,), 2**30, np.int32)
    assert not check("ReduceSum", [large]) and not check("ReduceProd", [large])


def test_casts() -> None:
    kinds = [*NUMERIC, "bool"]
    for source, target in itertools.product(kinds, kinds):
        array = numbers(source, (9,))
        if np.dtype(source).kind == "f":
            array = np.array([0, 1.5, 2.75, 100.25], source)
        check("Cast", [array], to=helper.np_dtype_to_tensor_dtype(np.dtype(target)))
    assert check("Cast", [np.array([np.nan, 0.0, -0.0, 2], np.float32)], to=onnx.TensorProto.BOOL)
    for bad in (np.nan, np.inf, 3e9, -1e20):
        with pytest.raises(Undefined):
            check("Cast", [np.array([bad], np.float32)], to=onnx.TensorProto.INT32)
    assert not check("Cast", [np.array([1 / 3], np.float64)], to=onnx.TensorProto.FLOAT)


def test_reshapes() -> None:
    array = numbers("float32", (2, 3, 4))
    for target in ([6, 4], [0, -1], [0, 0, 0], [24], [-1, 3, 4]):
        assert check("Reshape", [array, np.array(target, I64)])
    assert check("Reshape", [numbers("int8", (0, 3)), np.array([3, 0], I64)], allowzero=1)
    for axis in (0, 1, 3, -1):
        assert check("Flatten", [array], axis=axis)
    single = numbers("int64", (1, 3, 1))
    assert check("Squeeze", [single]) and check("Squeeze", [single, np.array([-1], I64)])
    assert check("Squeeze", [single], opset=11, axes=[0])
    assert check("Unsqueeze", [array, np.array([0, -1], I64)]) and check("Unsqueeze", [array], opset=11, axes=[4, 0])


def test_movement() -> None:
    array = numbers("float32", (2, 3, 4))
    assert check("Transpose", [array]) and check("Transpose", [array], perm=[1, 2, 0])
    assert check("Concat", [array, array], axis=-1) and check("Concat", [array[:0], array], axis=0)
    for axis in (0, 2, -2):
        assert check("Gather", [array, np.array([[0, -1], [1, 0]], I64)], axis=axis)
        assert check("Gather", [array, np.array(1, np.int32)], axis=axis)
    assert check("Expand", [numbers("int64", (3, 1)), np.array([2, 1, 4], I64)])
    assert check("Tile", [array, np.array([1, 2, 0], I64)]) and check("Tile", [array, np.array([3, 1, 2], I64)])
    assert check("Where", [numbers("bool", (3, 1)), array, numbers("float32", ())])
    assert check("Trilu", [array, np.array(-1, I64)], upper=0) and check("Trilu", [array])
    assert check("NonZero", [numbers("bool", (3, 4))]) and check("NonZero", [numbers("float32", (0,))])


def test_slices() -> None:
    array = numbers("int32", (5, 6))
    windows = [([0], [5], None, None), ([-3, 1], [-1, 9], [1, 0], None), ([4, 5], [-9, 0], [0, 1], [-1, -2])]
    windows += [([10], [20], [1], [1]), ([2], [2], [0], [1]), ([-1], [-(2**63)], [1], [-1])]
    for parts in windows:
        assert check("Slice", [array, *(None if p is None else np.array(p, I64) for p in parts)])
    assert check("Slice", [array], opset=9, starts=[1], ends=[-1], axes=[1])


def test_splits() -> None:
    array = numbers("float32", (7, 6))
    assert check("Split", [array, np.array([1, 0, 6], I64)], outputs=3)
    assert check("Split", [array], outputs=3, axis=1) and check("Split", [array], outputs=2, opset=11, axis=-1)
    assert check("Split", [array], outputs=4, opset=18, axis=0, num_outputs=4)
    assert check("Split", [array], outputs=2, opset=11, split=[3, 4])


def test_pads() -> None:
    array = numbers("float32", (2, 3))
    assert check("Pad", [array, np.array([1, 0, 2, 3], I64)])
    assert check("Pad", [array, np.array([1, 2], I64), np.array(7, np.float32), np.array([-1], I64)], opset=18)
    assert not check("Pad", [array, np.array([-1, 0, 0, 0], I64)])
    assert not check("Pad", [array, np.array([1, 1, 0, 0], I64)], mode="reflect")


def test_generators() -> None:
    fill = numpy_helper.from_array(np.array([3], np.int8))
    for shape in ([2, 3], [], [0, 4]):
        assert check("ConstantOfShape", [np.array(shape, I64)])
        assert check("ConstantOfShape", [np.array(shape, I64)], value=fill)
    for first, last, step in ((0, 7, 2), (5, -3, -2), (3, 3, 1), (4, 0, 1)):
        assert check("Range", [np.array(n, I64) for n in (first, last, step)])
    array = numbers("float32", (2, 3, 4))
    assert check("Shape", [array]) and check("Shape", [array], start=1, end=-1) and check("Shape", [array], start=-1)
    assert check("Size", [array]) and check("Identity", [array]) and check("Dropout", [array])
    assert check("Not", [numbers("bool", (3,))])


def test_nothing_huge_is_made() -> None:
    huge = np.array([1 << 20, 1 << 20], I64)
    assert not check("ConstantOfShape", [huge]) and not check("Expand", [numbers("int64", (1, 1)), huge])
    assert not check("Tile", [numbers("int64", (1, 1)), huge])
    assert not check("Range", [np.array(n, I64) for n in (0, 1 << 40, 1)])
    assert not check("Add", [np.zeros((1 << 16, 1), np.float32), np.zeros((1, 1 << 16), np.float32)])


def test_every_kernel_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert not [op for op in _KERNELS if f'"{op}"' not in text]
