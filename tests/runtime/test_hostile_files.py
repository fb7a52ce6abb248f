"""Files that are damaged, absurd or no models at all: a PlanishError says so, and nothing else happens."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper
from onnx.numpy_helper import from_array
from survival import parsed

from planish.compiler.errors import ModelError, PlanishError, UnsafeModelError
from planish.compiler.reading import load
from planish.models import build
from planish.runtime.optimize import optimize

HUGE = 10**12
DAMAGE = Path(__file__).parents[1] / "damage.py"


def of(data_type: int, dims: list[int], **fields: object) -> TensorProto:
    return TensorProto(name="w", data_type=data_type, dims=dims, **fields)  # type: ignore[arg-type]


LYING_TENSORS = {
    "nothing at all": of(TensorProto.FLOAT, [HUGE]),
    "nothing raw": of(TensorProto.FLOAT, [HUGE], raw_data=b""),
    "few bytes": of(TensorProto.FLOAT, [3], raw_data=bytes(11)),
    "many bytes": of(TensorProto.FLOAT, [3], raw_data=bytes(13)),
    "product of extents": of(TensorProto.FLOAT, [2**31, 2**31, 2**31], raw_data=bytes(4)),
    "more than 64 bits": of(TensorProto.DOUBLE, [2**62] * 5, double_data=[1.0]),
    "too few floats": of(TensorProto.FLOAT, [3], float_data=[1, 2]),
    "too many floats": of(TensorProto.FLOAT, [1], float_data=[1, 2]),
    "floats of a scalar": of(TensorProto.FLOAT, [], float_data=[]),
    "elements of an empty one": of(TensorProto.INT64, [0, 5], int64_data=[1]),
    "the wrong field": of(TensorProto.FLOAT, [2], int64_data=[1, 2]),
    "half a complex number": of(TensorProto.COMPLEX64, [1], float_data=[1]),
    "texts": of(TensorProto.STRING, [HUGE], string_data=[b"a"]),
    "halves": of(TensorProto.FLOAT16, [2], int32_data=[1]),
    "nibbles": of(TensorProto.INT4, [3], int32_data=[1, 2, 3]),
    "raw nibbles": of(TensorProto.UINT4, [3], raw_data=b"1"),
}


@pytest.mark.parametrize("place", ["initializer", "constant"])
@pytest.mark.parametrize("name", LYING_TENSORS)
def test_tensors_that_hold_other_than_they_say(name: str, place: str) -> None:
    proto = parsed("g () => (w) { }")
    if place == "initializer":
        proto.graph.initializer.append(LYING_TENSORS[name])
    else:
        proto.graph.node.append(helper.make_node("Constant", [], ["w"], value=LYING_TENSORS[name]))
    tracemalloc.start()
    with pytest.raises(UnsafeModelError, match="instead of") as raised:
        optimize(proto, verify="off")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert raised.value.where == "w"


def test_a_big_tensor_that_lies_is_found_when_it_is_read_or_written(tmp_path: Path) -> None:
    proto = parsed("g () => (w) { }")
    proto.graph.initializer.append(of(TensorProto.FLOAT, [1 << 20], raw_data=bytes(10)))
    model = load(proto)
    tensor = next(iter(model.graph.initializers)).tensor
    assert tensor is not None
    with pytest.raises(UnsafeModelError, match="instead of"):
        tensor.numpy()
    for external_data in (True, False):
        with pytest.raises(UnsafeModelError, match="instead of"):
            optimize(proto, verify="off").save(tmp_path / "out.onnx", external_data=external_data)
    assert not list(tmp_path.iterdir())


def test_negative_dimensions() -> None:
    proto = parsed("g () => (w) { }")
    proto.graph.initializer.append(of(TensorProto.FLOAT, [-1, -4], raw_data=bytes(16)))
    with pytest.raises(ModelError, match="negative dimension"):
        load(proto)


ABSURD = {
    "a shape of two billion axes": "g (int64[2147483647] s) => (y) { y = ConstantOfShape(s) }",
    "a trillion zeros": """g () => (y) {
        s = Constant <value = int64[2] {1000000, 1000000}> ()
        y = ConstantOfShape(s)
    }""",
    "a long range": """g () => (y) <int64 start = {0}, int64 end = {1000000000000}, int64 step = {1}> {
        y = Range(start, end, step)
    }""",
    "a wide expansion": """g () => (y) <float one = {1}, int64[1] s = {1000000000000}> { y = Expand(one, s) }""",
    "many repetitions": """g () => (y) <float[1] one = {1}, int64[1] n = {1000000000000}> { y = Tile(one, n) }""",
    "a wide border": """g () => (y) <float[1] one = {1}, int64[2] n = {0, 1000000000000}> { y = Pad(one, n) }""",
    "a long loop": """g (float[2] x) => (y) <int64 n = {1000000000000}, bool go = {1}> {
        y = Loop (n, go, x) <body = b (int64 i, bool c, float[2] v) => (bool c2, float[2] w) {
            c2 = Identity(c)
            w = Neg(v)
        }>
    }""",
    "a wide input": """g (float[1000000000000,1000000000000] x) => (y) <float a = {2}, float b = {3}> {
        m = Mul(x, a)
        y = Add(m, b)
    }""",
    "random numbers": "g () => (y) { y = RandomNormal <shape = [1000000, 1000000]> () }",
    "an identity": """g () => (y) <int64[2] s = {1000000, 1000000}> { z = ConstantOfShape(s)  y = EyeLike(z) }""",
    "zeros of nothing": """g (float[0,1000000000000] x) => (y) { n = Neg(x)  y = Neg(n) }""",
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_sizes_are_never_allocated(name: str) -> None:
    proto = parsed(ABSURD[name])
    tracemalloc.start()
    optimize(proto, verify="off")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_files_that_end_early(tmp_path: Path) -> None:
    data = build("lstm_tagger").SerializeToString()
    path = tmp_path / "model.onnx"
    refused = 0
    for length in range(0, len(data), max(len(data) // 150, 1)):
        path.write_bytes(data[:length])
        try:
            optimize(path, verify="off")
        except PlanishError as error:
            refused += 1
            assert error.what and error.where
    assert refused > 140


NO_MODELS = {
    "empty": b"", "text": b"# not a model\n" * 9, "zeros": bytes(1000), "zip": b"PK\x03\x04" + bytes(range(256)),
    "json": b'{"producer_name": 3}', "html": b"<!DOCTYPE html><html></html>", "lfs": b"version https://git-lfs",
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".onnx", ".json", ".onnxtxt", ".textproto", ""])
@pytest.mark.parametrize("name", NO_MODELS)
def test_files_that_are_no_models(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(NO_MODELS[name])
    with pytest.raises(ModelError) as raised:
        load(path)
    assert raised.value.where == str(path)


@pytest.mark.parametrize("suffix", [".json", ".onnxtxt", ".textproto"])
def test_models_as_text(tmp_path: Path, suffix: str) -> None:
    proto = parsed("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    onnx.save(proto, tmp_path / f"model{suffix}")
    assert [node.op for node in load(tmp_path / f"model{suffix}").graph] == ["Relu"]


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path, complaint in ((tmp_path, "not a file"), (tmp_path / "nothing", "no such file")):
        with pytest.raises(PlanishError, match=complaint):
            load(path)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    data = parsed("g (float[2] name) => (float[2] y) { y = Relu(name) }").SerializeToString()
    (tmp_path / "model.onnx").write_bytes(data.replace(b"name", b"\xff\xfe\xfd\xfc"))
    with pytest.raises(ModelError, match="UTF-8"):
        load(tmp_path / "model.onnx")


def test_texts_that_are_not_utf8_survive(tmp_path: Path) -> None:
    proto = parsed("g (float[text0] x) => (y) { y = Relu(x) }")
    proto.doc_string = proto.graph.doc_string = proto.graph.node[0].doc_string = "text"
    proto.graph.node[0].attribute.append(AttributeProto(name="text1", type="STRING", s=b"text", doc_string="text"))
    proto.metadata_props.add(key="text2", value="text")
    data = proto.SerializeToString(deterministic=True).replace(b"text", b"\xfc\xe4\xf6\xdf")
    (tmp_path / "model.onnx").write_bytes(data)
    optimize(tmp_path / "model.onnx", verify="off").save(tmp_path / "out.onnx")
    result = ModelProto.FromString((tmp_path / "out.onnx").read_bytes())
    assert result.SerializeToString(deterministic=True) == data


def test_attributes_of_the_wrong_type_are_left_alone() -> None:
    proto = parsed("""g (float[2,3] x) => (y) {
        a = Transpose <perm = [0.5, 1.5]> (x)
        b = Softmax <axis = "one"> (a)
        c = Unsqueeze <axes = 1> (b)
        y = Concat <axis = [1]> (c, x)
    }""")
    result = optimize(proto, verify="off")
    assert [node.op_type for node in result.proto().graph.node] == ["Transpose", "Softmax", "Unsqueeze", "Concat"]


def test_nodes_that_no_operator_fits_are_left_alone() -> None:
    proto = parsed("""g (float[2] x) => (a, b, c, d, e, f) {
        a = Relu ()
        b = Add (x)
        c = Add (x, x, x)
        d = Cast (x)
        e, f = Relu (x)
    }""")
    proto.graph.node[1].input.insert(0, "")
    assert optimize(proto, verify="off").proto() == proto


def test_what_inference_makes_nothing_of_is_said(tmp_path: Path) -> None:
    proto = parsed("g (float[2,3] x) => (y) { y = Transpose <perm = [0, 7]> (x) }")
    result = optimize(proto, verify="off")
    assert result.proto() == proto
    assert any(r.kind == "analysis" and r.node == "y" and "shapes cannot be inferred" in r.text for r in result.remarks)


def test_weights_of_unknown_types_are_no_constants() -> None:
    proto = parsed("g (float[2] x) => (y, z) { y = Relu(w)  c = Constant()  z = Neg(c) }")
    part = from_array(np.zeros(2, np.float32), "w")
    part.segment.end = 1
    proto.graph.initializer.append(part)
    proto.graph.node[1].attribute.append(helper.make_attribute("value", of(99, [2], raw_data=b"\0\0")))
    assert optimize(proto, verify="off").proto() == proto


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,3,4] x) => (float[4,3,2] y) { y = Transpose <perm: float = 1.0> (x) }",
        "g (float[4,6] x) => (float[4,3] y) <float[4,3] z> { y, z = Split <axis: string = \"a\"> (x) }",
        "g (float[4,6] x) => (float[4,3] y, float[4,3] z) { y, z = Split <axis: string = \"a\"> (x) }",
    ],
)
def test_attributes_of_another_type_are_left_alone(text: str) -> None:
    proto = parsed(text)
    assert optimize(proto, verify="off").proto() == proto


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["0", "4000"], marks=pytest.mark.slow),
        ["100000", "300"],
        pytest.param(["attributes"], marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_damaged_models(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, DAMAGE, *arguments], capture_output=True, text=True, timeout=900)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout[-3000:] + done.stderr[-1000:]
