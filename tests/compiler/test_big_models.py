"""Models of more than 2 GiB: what is not computed with is not in memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from onnx import TensorProto
from survival import parsed

from planish.compiler.external_data import ExternalData
from planish.compiler.reading import load

LAYERS, ROWS = 9, 8192  # weights of 256 MiB
LARGEST = ROWS * ROWS * 4
# ru_maxrss would begin with the memory of the process that starts this one.
PROGRAM = """
    import sys
    from planish import optimize
    result = optimize(sys.argv[1], verify="off")
    result.save(sys.argv[2])
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(len(list(result.model.nodes())), int(status["VmHWM"].split()[0]) * 1024)
"""


def huge(folder: Path) -> Path:
    """A chain of MatMul and no-ops whose weights lie in a file full of holes, which takes no room on the disk."""
    proto = parsed(f"g (float[N,{ROWS}] x) => (float[N,{ROWS}] y) {{ }}")
    read = "x"
    for layer in range(LAYERS):
        last = "y" if layer == LAYERS - 1 else f"i{layer}"
        proto.graph.node.add(op_type="MatMul", input=[read, f"w{layer}"], output=[f"m{layer}"])
        proto.graph.node.add(op_type="Relu", input=[f"m{layer}"], output=[f"r{layer}"])
        proto.graph.node.add(op_type="Identity", input=[f"r{layer}"], output=[last])
        read = last
        tensor = proto.graph.initializer.add(name=f"w{layer}", data_type=TensorProto.FLOAT, dims=[ROWS, ROWS])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "model.data"), ("offset", layer * LARGEST), ("length", LARGEST)):
            tensor.external_data.add(key=key, value=str(value))
    with (folder / "model.data").open("wb") as file:
        for layer in range(LAYERS):
            file.seek(layer * LARGEST)
            file.write(bytes([layer + 1]))
        file.truncate(LAYERS * LARGEST)
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
    return folder / "model.onnx"


@pytest.mark.slow
def test_memory_of_structural_work(tmp_path: Path) -> None:
    source, target = huge(tmp_path), tmp_path / "out.onnx"
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(source), str(target)]
    nodes, peak = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert nodes == 2 * LAYERS
    assert peak < 1.2 * LARGEST + 300e6, f"{peak / 1e6:.0f} MB"
    data = target.with_name("out.onnx.data")
    assert data.stat().st_size == LAYERS * LARGEST
    for number, value in enumerate(load(target).graph.initializers):
        external = value.tensor.external if value.tensor is not None else None
        assert isinstance(external, ExternalData)
        first = next(external.chunks())
        assert first[0] == number + 1 and not any(first[1:1000])
    data.unlink()
