"""The adapter: what differs between TensorRT 10, TensorRT 11 and TensorRT-RTX, and what the parser says."""

from __future__ import annotations

import builtins
import ctypes
import importlib
from types import SimpleNamespace
from typing import Any

import onnx.parser
import pytest
from engines.fake_tensorrt import fake_module
from engines.rtx import needs_rtx

from planish.compiler.errors import BackendError, OptionError
from planish.runtime.engines import adapter
from planish.runtime.engines.adapter import backend_of, cuda_devices, load_backend, mark_attention_decomposable, parse
from planish.runtime.engines.profiles import Profile, check_profiles, parse_profile


@pytest.mark.parametrize("version, bit, flags", [("10.13.3.9", 1, 2), ("11.4.0.106", 0, 1)])
def test_networks_are_strongly_typed_in_every_version(version: str, bit: int, flags: int) -> None:
    backend = backend_of(fake_module(version, bit))
    builder = backend.builder(backend.logger([]))
    backend.network(builder)
    assert builder.network_flags == flags
    assert (backend.flavor, backend.version) == ("tensorrt", tuple(map(int, version.split("."))))


def test_the_logger_records_severity_and_text() -> None:
    records: list[tuple[str, str]] = []
    logger = backend_of(fake_module("10.13.3.9", 1)).logger(records)
    logger.log(SimpleNamespace(name="WARNING"), "a scale is odd")
    assert records == [("WARNING", "a scale is odd")]


def test_a_library_has_one_logger_that_records_where_it_is_told_last() -> None:
    backend = backend_of(fake_module("10.13.3.9", 1))
    first: list[tuple[str, str]] = []
    second: list[tuple[str, str]] = []
    logger = backend.logger(first)
    assert backend.logger(second) is logger
    logger.log(SimpleNamespace(name="INFO"), "built")
    assert (first, second) == ([], [("INFO", "built")])


def test_config_has_exactly_the_flags_that_are_asked_for() -> None:
    backend = backend_of(fake_module("11.4.0.106", 0))
    builder = backend.builder(backend.logger([]))
    network = backend.network(builder)
    assert backend.config(builder, network).flags == set()
    config = backend.config(builder, network, flags=["TF32", "SPARSE_WEIGHTS"])
    assert config.flags == {"TF32", "SPARSE_WEIGHTS"} and config.profiling_verbosity == "detailed"
    with pytest.raises(OptionError, match="no builder flag FP16"):
        backend.config(builder, network, flags=["FP16"])
    with pytest.raises(OptionError, match="the GPU of this machine only"):
        backend.config(builder, network, compute_capabilities=["8.9"])


def test_profiles_give_shapes_and_for_shape_inputs_values() -> None:
    backend = backend_of(fake_module("11.4.0.106", 0))
    builder = backend.builder(backend.logger([]))
    builder.inputs = [
        SimpleNamespace(name="x", shape=(-1, -1), is_shape_tensor=False),
        SimpleNamespace(name="n", shape=(1,), is_shape_tensor=True),
    ]
    network = backend.network(builder)
    config = backend.config(builder, network, profiles=[parse_profile("x=1x3:2x3:4x3;n=1:2:4")])
    assert config.profiles == [{"x": ("shape", (1, 3), (2, 3), (4, 3)), "n": ("values", (1,), (2,), (4,))}]
    with pytest.raises(OptionError, match="refuses the profile x=0x0:0x0:0x0"):
        backend.config(builder, network, profiles=[parse_profile("x=0x0;n=1")])
    with pytest.raises(OptionError, match="leaves open"):
        backend.config(builder, network)


def without_gpu(logger: Any) -> None:
    raise TypeError("pybind11::init(): factory function returned nullptr")


def test_a_builder_that_cannot_be_made_is_a_clear_error() -> None:
    with pytest.raises(BackendError, match="makes no builder here") as raised:
        backend = backend_of(fake_module("10.13.3.9", 1, without_gpu))
        backend.builder(backend.logger([]))
    assert "tensorrt-rtx" in raised.value.hint


def importing(monkeypatch: pytest.MonkeyPatch, installed: dict[str, Any], devices: int = 0) -> None:
    def import_module(name: str) -> Any:
        if name not in installed:
            raise ModuleNotFoundError(f"No module named '{name}'")
        return installed[name]

    monkeypatch.setattr(importlib, "import_module", import_module)
    monkeypatch.setattr(adapter, "cuda_devices", lambda: devices)


def test_what_is_missing_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    importing(monkeypatch, {})
    for name in ("auto", "tensorrt", "tensorrt-rtx"):
        with pytest.raises(BackendError, match="cannot be loaded") as raised:
            load_backend(name)
        assert "pip install 'planish[tensorrt-rtx]'" in raised.value.hint
    with pytest.raises(OptionError, match="no backend 'trt'"):
        load_backend("trt")


def test_half_a_library_is_no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    lean = fake_module("10.13.3.9", 1)
    del lean.OnnxParser
    importing(monkeypatch, {"tensorrt": lean})
    with pytest.raises(BackendError, match="has no OnnxParser"):
        load_backend("tensorrt")


@pytest.mark.parametrize("devices, chosen", [(0, "tensorrt-rtx"), (1, "tensorrt")])
def test_auto_takes_tensorrt_only_where_a_gpu_answers(
    monkeypatch: pytest.MonkeyPatch, devices: int, chosen: str
) -> None:
    rtx = fake_module("1.7.1.116", 0)
    rtx.ComputeCapability = SimpleNamespace(SM89=1)
    importing(monkeypatch, {"tensorrt": fake_module("11.4.0.106", 0), "tensorrt_rtx": rtx}, devices)
    assert load_backend().flavor == chosen


@pytest.mark.parametrize("status, count, found", [(0, 2, 2), (0, 0, 0), (100, 2, 0)])
def test_cuda_devices_are_those_that_the_driver_answers_for(
    monkeypatch: pytest.MonkeyPatch, status: int, count: int, found: int
) -> None:
    def get_count(pointer: Any) -> int:
        pointer._obj.value = count
        return 0

    driver = SimpleNamespace(cuInit=lambda flags: status, cuDeviceGetCount=get_count)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert cuda_devices() == found


def test_no_driver_means_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert cuda_devices() == 0


def model(text: str) -> bytes:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    return builtins.bytes(proto.SerializeToString())


@needs_rtx
def test_what_the_parser_refuses_is_named() -> None:
    parsed = parse(load_backend("tensorrt-rtx"), model("""
        g (float[1,3,8,8] x, uint8[4] a) => (float[1,3,8,8] y, uint8[4] z) {
            y = Relu (x)
            [shift] z = BitShift <direction = "LEFT"> (a, a)
        }"""))
    assert not parsed.ok
    message, = [m for m in parsed.messages if m.severity == "error"]
    assert (message.node, message.name, message.op) == (1, "shift", "BitShift")
    assert str(message) == "BitShift shift: the parser does not take this BitShift"
    assert "UNSUPPORTED_NODE" in message.code


@needs_rtx
def test_an_error_that_names_no_node_is_of_the_one_that_was_parsed_last() -> None:
    parsed = parse(load_backend("tensorrt-rtx"), model("""
        g (float[4] x, int64[2] i, float[2] u) => (float[4] y) {
            [before] a = Relu (x)
            [scatter] y = ScatterElements <reduction = "add"> (a, i, u)
        }"""))
    message, = [m for m in parsed.messages if m.severity == "error"]
    assert str(message) == "ScatterElements scatter: Unsupported reduction type"


@needs_rtx
def test_a_model_is_parsed_from_bytes_and_from_a_file(tmp_path: Any) -> None:
    data = model("g (float[N,3] x) => (float[N,3] y) { y = Relu (x) }")
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    backend = load_backend("tensorrt-rtx")
    for source in (data, path, str(path)):
        parsed = parse(backend, source)
        assert parsed.ok and not parsed.messages and len(parsed.layers) == 1
        assert [t.name for t in (*parsed.inputs, *parsed.outputs)] == ["x", "y"]
        assert tuple(parsed.inputs[0].shape) == (-1, 3)
    assert backend.builds_without_gpu and "8.9" in backend.compute_capabilities()
    assert mark_attention_decomposable(parsed) == 0


@needs_rtx
def test_an_unknown_compute_capability_is_refused() -> None:
    parsed = parse(load_backend("tensorrt-rtx"), model("g (float[2,3] x) => (float[2,3] y) { y = Relu (x) }"))
    with pytest.raises(OptionError, match=r"does not build for compute capability 9\.0") as raised:
        parsed.backend.config(parsed.builder, parsed.network, compute_capabilities=["9.0"])
    assert "8.9" in raised.value.hint
    parsed.backend.config(parsed.builder, parsed.network, compute_capabilities=["8.9", "12.0"])


@pytest.mark.parametrize(
    "text, profile",
    [
        ("x=1x3x8x8", {"x": ((1, 3, 8, 8),) * 3}),
        ("x=1x3:2x3:4x3", {"x": ((1, 3), (2, 3), (4, 3))}),
        ("x=[1,3]:[2,3]:[4,3]; y:0=1:2:4", {"x": ((1, 3), (2, 3), (4, 3)), "y:0": ((1,), (2,), (4,))}),
        ("n=[]", {"n": ((), (), ())}),
    ],
)
def test_profiles_are_read(text: str, profile: dict[str, Any]) -> None:
    assert parse_profile(text) == profile
    assert parse_profile(parse_profile(text).text()) == profile


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("x", "is no profile"),
        ("x=1x?", "is no profile"),
        ("x=1x3:2x3", "two sizes"),
        ("x=1x3:2x3:4", "different numbers of dimensions"),
        ("x=2x3:1x3:4x3", "not in this order"),
        ("x=1x3;x=1x4", "stands twice"),
    ],
)
def test_what_is_no_profile_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        parse_profile(text)


INPUTS = {"x": ((-1, 3), False), "y": ((2,), False)}


@pytest.mark.parametrize(
    "profile, complaint",
    [
        ("", "input x .* leaves open"),
        ("y=2", "input x .* leaves open"),
        ("x=1x3;z=4", "no input 'z'"),
        ("x=1x4", r"asks for 1x4, the model says \?x3"),
        ("x=4", "has 1 dimensions, the input has 2"),
        ("x=1x3;y=3", "asks for 3, the model says 2"),
    ],
)
def test_profiles_have_to_fit_the_inputs(profile: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        check_profiles([parse_profile(profile)] if profile else [], INPUTS)


def test_profiles_that_fit() -> None:
    check_profiles([parse_profile("x=1x3:2x3:4x3;y=2"), parse_profile("x=5x3")], INPUTS)
    check_profiles([], {"y": ((2,), False)})
    check_profiles([Profile(n=((1,), (2,), (4,)))], {"n": ((2,), True)})
