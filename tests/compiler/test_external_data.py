"""Weights in other files: read from where they lie, only when needed, and only if they may lie there."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import Message
from onnx import ModelProto, TensorProto, helper
from onnx.external_data_helper import convert_model_to_external_data
from onnx.numpy_helper import from_array, to_array
from survival import assert_same, parsed

from planish.compiler.errors import ModelError, OutputError, UnsafeModelError
from planish.compiler.inference import infer_model
from planish.compiler.reading import load
from planish.compiler.saving import save
from planish.compiler.tensor import Tensor
from planish.compiler.writing import to_proto
from planish.runtime.optimize import optimize

WEIGHTS = {f"w{number}": np.arange(number, number + 600, dtype=np.float32) for number in range(3)}


def weighted() -> ModelProto:
    proto = parsed("""g (float[600] x) => (float[600] y) {
        a = Add(x, w0)
        i = Identity(a)
        b = Mul(i, w1)
        y = Add(b, w2)
    }""")
    proto.graph.initializer.extend(from_array(array, name) for name, array in WEIGHTS.items())
    return proto


def external(folder: Path, proto: ModelProto | None = None, name: str = "model.onnx") -> Path:
    """The model in a folder, all of its tensors in model.onnx.data."""
    proto = proto or weighted()
    convert_model_to_external_data(proto, location=f"{name}.data", size_threshold=0, convert_attribute=True)
    onnx.save(proto, folder / name)
    return folder / name


def whole(path: Path) -> ModelProto:
    """The model with its external data inside, and no trace of where that was."""
    proto = onnx.load(path)
    for message in messages(proto):
        if isinstance(message, TensorProto):
            message.ClearField("data_location")
    return proto


def messages(message: Message) -> Iterator[Message]:
    yield message
    for _, content in message.ListFields():
        for inner in [content] if isinstance(content, Message) else content if hasattr(content, "extend") else ():
            if isinstance(inner, Message):
                yield from messages(inner)


def reference(path: Path, **entries: str) -> Path:
    """A model whose only weight of 10 floats refers to data as the entries say."""
    proto = parsed("g () => (w) { }")
    tensor = proto.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[10])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString())
    return path


def test_nothing_is_read_until_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = external(tmp_path)
    opened: list[str] = []
    plain = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (opened.append(self.name), plain(self, *a, **k))[1])
    model = load(path)
    infer_model(model)
    assert not [name for name in opened if name.startswith("model")]
    value = model.value_named("w1")
    assert value is not None and value.tensor is not None
    np.testing.assert_array_equal(value.tensor.numpy(), WEIGHTS["w1"])
    assert [name for name in opened if name.startswith("model")] == ["model.onnx.data"]
    assert not value.tensor.numpy().flags.writeable


def test_a_big_tensor_is_mapped_and_not_copied(tmp_path: Path) -> None:
    array = np.arange(1 << 20, dtype=np.float32)
    proto = parsed("g () => (w) { }")
    proto.graph.initializer.append(from_array(array, "w"))
    model = load(external(tmp_path, proto))
    tensor = next(iter(model.graph.initializers)).tensor
    assert tensor is not None and tensor.external is not None
    np.testing.assert_array_equal(tensor.numpy(), array)
    base = tensor.numpy()
    while isinstance(base, np.ndarray):
        base = base.base
    assert type(base.obj).__name__ == "mmap"  # type: ignore[union-attr]
    assert load(tmp_path / "model.onnx").graph.outputs[0].tensor.glimpse() == Tensor.from_array(array).glimpse()


def test_values_survive_in_every_layout(tmp_path: Path) -> None:
    source = external(tmp_path)
    for external_data in (None, True, False):
        target = tmp_path / f"out_{external_data}.onnx"
        written = save(load(source), target, external_data=external_data)
        beside = target.with_name(target.name + ".data")
        assert written == ([target] if external_data is False else [beside, target])
        assert beside.exists() == (external_data is not False)
        assert_same(whole(target), whole(source))


def test_only_big_tensors_move_out(tmp_path: Path) -> None:
    proto = weighted()
    proto.graph.initializer.append(from_array(np.arange(255, dtype=np.int32), "small"))
    proto.graph.initializer.append(helper.make_tensor("text", TensorProto.STRING, [300], [b"0123456789"] * 300))
    save(load(proto), tmp_path / "out.onnx", external_data=True)
    stored = onnx.load(tmp_path / "out.onnx", load_external_data=False).graph.initializer
    assert [t.name for t in stored if t.data_location == TensorProto.EXTERNAL] == ["w0", "w1", "w2"]
    offsets = [int(entry.value) for t in stored for entry in t.external_data if entry.key == "offset"]
    assert [offset % 4096 for offset in offsets] == [0, 0, 0] and len(set(offsets)) == 3
    assert_same(whole(tmp_path / "out.onnx"), proto)


def test_a_model_that_keeps_its_weights_itself_goes_on_doing_so(tmp_path: Path) -> None:
    assert save(load(weighted()), tmp_path / "out.onnx") == [tmp_path / "out.onnx"]
    assert_same(whole(tmp_path / "out.onnx"), weighted())


def test_the_source_may_be_replaced_and_read_on(tmp_path: Path) -> None:
    path = external(tmp_path)
    original = whole(path)
    model = load(path)
    for _ in range(2):
        save(model, path)
        assert_same(whole(path), original)
    save(model, tmp_path / "copy.onnx")
    assert_same(whole(tmp_path / "copy.onnx"), original)
    assert_same(to_proto(model), original)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "copy.onnx", "copy.onnx.data", "model.onnx", "model.onnx.data"]  # fmt: skip


def test_a_stale_data_file_is_replaced_and_not_appended_to(tmp_path: Path) -> None:
    stale = tmp_path / "out.onnx.data"
    stale.write_bytes(b"stale" * 100_000)
    save(load(external(tmp_path)), tmp_path / "out.onnx")
    assert stale.stat().st_size == 2 * 4096 + 2400
    assert b"stale" not in stale.read_bytes()


def test_one_name_in_two_bodies(tmp_path: Path) -> None:
    proto = parsed("""g (float[600] x, bool c) => (float[600] y) {
        y = If (c) <then_branch = t () => (float[600] o) { o = Add(x, w) },
                    else_branch = e () => (float[600] o) { o = Sub(x, w) }>
    }""")
    for attribute, name in zip(proto.graph.node[0].attribute, ("w0", "w1")):
        attribute.g.initializer.append(from_array(WEIGHTS[name], "w"))
    for external_data in (True, False):
        save(load(proto), tmp_path / "out.onnx", external_data=external_data)
        assert_same(whole(tmp_path / "out.onnx"), proto)


def attached() -> ModelProto:
    """Tensors in every place that is not an initializer of a graph."""
    proto = parsed("""<ir_version: 10, opset_import: ["" : 21, "f" : 1]>
    g (float[600] x, bool c) => (float[600] y) {
        k = Constant()
        y = If (c) <then_branch = t () => (o) { o = Constant() }, else_branch = e () => (p) { p = f.f() }>
    }
    <domain: "f", opset_import: ["" : 21]> f () => (o) { o = Constant() }
    """)
    tensors = [from_array(np.arange(600, dtype=np.float32) + number) for number in range(6)]
    then = proto.graph.node[1].attribute[0].g
    for node, tensor in zip((proto.graph.node[0], then.node[0], proto.functions[0].node[0]), tensors):
        node.attribute.append(helper.make_attribute("value", tensor))
    positions = from_array(np.arange(600, dtype=np.int64))
    tensors[3].name = "sparse"
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(tensors[3], positions, [1000]))
    training = proto.training_info.add()
    training.initialization.name = "i"
    tensors[4].name = "start"
    training.initialization.initializer.append(tensors[4])
    return proto


def place_outside(proto: ModelProto, path: Path) -> None:
    """Writes the model with all tensors in one data file, those too that onnx itself keeps inside."""
    places: list[TensorProto] = [
        proto.graph.node[0].attribute[0].t, proto.graph.node[1].attribute[0].g.node[0].attribute[0].t,
        proto.functions[0].node[0].attribute[0].t, proto.graph.sparse_initializer[0].values,
        proto.graph.sparse_initializer[0].indices, proto.training_info[0].initialization.initializer[0]]  # fmt: skip
    data = b""
    for tensor in places:
        for key, value in (("location", "all.bin"), ("offset", len(data)), ("length", len(tensor.raw_data))):
            tensor.external_data.add(key=key, value=str(value))
        data += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
    path.with_name("all.bin").write_bytes(data)
    path.write_bytes(proto.SerializeToString())


def test_tensors_that_are_no_initializers(tmp_path: Path) -> None:
    proto = attached()
    outside = ModelProto()
    outside.CopyFrom(proto)
    place_outside(outside, tmp_path / "model.onnx")
    model = load(tmp_path / "model.onnx")
    assert_same(to_proto(model), outside)
    assert_same(to_proto(model, inline=True), proto)
    save(model, tmp_path / "one.onnx", external_data=False)
    assert_same(onnx.load(tmp_path / "one.onnx", load_external_data=False), proto)
    (tmp_path / "sub").mkdir()
    save(model, tmp_path / "sub" / "two.onnx")
    assert_same(to_proto(load(tmp_path / "sub" / "two.onnx"), inline=True), proto)
    for name in ("all.bin", "model.onnx"):
        (tmp_path / name).unlink()
    assert_same(to_proto(load(tmp_path / "sub" / "two.onnx"), inline=True), proto)


def test_a_proto_with_references_needs_a_folder(tmp_path: Path) -> None:
    proto = onnx.load(external(tmp_path), load_external_data=False)
    with pytest.raises(ModelError, match="not loaded from a file") as raised:
        load(proto)
    assert "pass the path" in raised.value.hint
    assert_same(to_proto(load(proto, folder=tmp_path), inline=True), whole(tmp_path / "model.onnx"))


def test_optimizing_reads_only_what_it_folds(tmp_path: Path) -> None:
    source = external(tmp_path)
    result = optimize(source, verify="off")
    result.save(tmp_path / "out.onnx")
    stored = {tensor.name: to_array(tensor) for tensor in whole(tmp_path / "out.onnx").graph.initializer}
    assert stored
    assert result.graph().nodes
    assert "Identity" not in [node.op_type for node in result.proto().graph.node]


OUTSIDE = ["", "../secret", "/etc/passwd", "a/../../secret", "link", "linked/secret"]


@pytest.mark.parametrize("location", OUTSIDE)
def test_data_outside_of_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(40))
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    with pytest.raises(UnsafeModelError, match="outside of the model's folder") as raised:
        load(reference(folder / "model.onnx", location=location))
    assert raised.value.where == "w" and raised.value.hint


@pytest.mark.parametrize("location", ["data", "sub/data", "./sub/../data", "inner"])
def test_data_inside_of_the_folder_is_read(tmp_path: Path, location: str) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("data", "sub/data"):
        (tmp_path / name).write_bytes(np.arange(10, dtype=np.float32).tobytes())
    (tmp_path / "inner").symlink_to(tmp_path / "data")
    tensor = next(iter(load(reference(tmp_path / "model.onnx", location=location)).graph.initializers)).tensor
    assert tensor is not None
    np.testing.assert_array_equal(tensor.numpy(), np.arange(10))


@pytest.mark.parametrize("entries", [
    {"offset": "-4"}, {"offset": "8"}, {"offset": "40"}, {"length": "41"}, {"length": "39"}, {"length": "-1"},
    {"length": "0"}, {"offset": "1" + "0" * 30},
], ids=str)  # fmt: skip
def test_ranges_that_do_not_fit_are_refused(tmp_path: Path, entries: dict[str, str]) -> None:
    (tmp_path / "data").write_bytes(bytes(44))
    with pytest.raises(UnsafeModelError, match="does not fit"):
        load(reference(tmp_path / "model.onnx", location="data", **entries))


@pytest.mark.parametrize("entries", [
    {"offset": "x"}, {"length": "1.5"}, {"location": "nowhere"}, {"location": "a\0b"}, {"location": "n" * 5000},
    {"location": "."}, {"location": "loop"}, {"length": "1" * 5000},
], ids=lambda entries: str(entries)[:30])  # fmt: skip
def test_references_that_lead_nowhere(tmp_path: Path, entries: dict[str, str]) -> None:
    (tmp_path / "data").write_bytes(bytes(40))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ModelError) as raised:
        load(reference(tmp_path / "model.onnx", **{"location": "data", **entries}))
    assert raised.value.where == "w"


def test_a_data_file_that_changes_is_noticed(tmp_path: Path) -> None:
    path = external(tmp_path)
    model = load(path)
    data = tmp_path / "model.onnx.data"
    content = data.read_bytes()
    data.write_bytes(content[:-1])
    with pytest.raises(ModelError, match="changed after the model was loaded"):
        save(model, tmp_path / "out.onnx")
    data.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        save(model, tmp_path / "out.onnx")
    assert not list(tmp_path.glob("*out.onnx*"))


def test_hundreds_of_data_files_need_no_hundreds_of_open_files(tmp_path: Path) -> None:
    proto = parsed("g () => () { }")
    array = np.zeros(1 << 18, np.float32)
    for number in range(150):
        tensor = from_array(array, f"w{number}")
        onnx.external_data_helper.set_external_data(tensor, f"w{number}.bin")
        proto.graph.initializer.append(tensor)
    onnx.save(proto, tmp_path / "model.onnx")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, hard))
    try:
        model = load(tmp_path / "model.onnx")
        arrays = [value.tensor.numpy() for value in model.graph.initializers if value.tensor is not None]
        save(model, tmp_path / "out.onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(arrays) == 150 and (tmp_path / "out.onnx.data").stat().st_size == 150 << 20


def test_too_big_for_one_file(tmp_path: Path) -> None:
    proto = parsed("g () => () { }")
    for number in range(3):
        tensor = proto.graph.initializer.add(name=f"w{number}", data_type=TensorProto.INT8, dims=[1 << 30])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="sparse")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    model = load(proto, folder=tmp_path)
    with pytest.raises(OutputError, match="2 GiB"):
        save(model, tmp_path / "out.onnx", external_data=False)
    assert [p.name for p in tmp_path.iterdir()] == ["sparse"]
