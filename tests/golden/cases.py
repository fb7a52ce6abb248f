"""The golden files: cases of one pass each, with what it must make of them.

    === Title of the case
    passes: fuse-batch-norm        optional; the pass of the file's name alone by default
    proof: none, REASON            optional; only where ONNX Runtime cannot run the case
    target: ort                    optional; "onnx" by default
    needs: onnxruntime 1.28        optional; the first version that can run the case, if not every admitted one can
    bodies: no, REASON             optional; only where the rewrite cannot happen in the body of an If
    <ir_version: 10, opset_import: ["" : 17]>
    g (float[N,3] x) => (float[N,4] y) <float[3,4] w, float[4] b = {1, 2, 3, 4}> {
        ...
    }
    --- after
    the result in the form of planish.compiler.text
    --- missed
    the remarks on what was refused or found, one a line

The model is ONNX's text syntax (onnx.parser). A name declared between < > without elements and without a producer is
a weight: it gets seeded normal numbers, positive ones if the name starts with "var". BLESS=1 writes what comes out.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import ModelProto, numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype

from planish.compiler.text import model_text
from planish.runtime.optimize import Result

FOLDER = Path(__file__).parent
_OPTIONS = ("passes", "target", "proof", "needs", "bodies")


@dataclass
class Case:
    """One case. options: the lines before the model; source: the model's text; after, missed: what is expected."""

    file: Path
    title: str
    options: dict[str, str] = field(default_factory=dict)
    source: str = ""
    after: str = ""
    missed: str = ""

    @property
    def passes(self) -> str:
        return self.options.get("passes", self.file.stem)

    @property
    def target(self) -> str:
        return self.options.get("target", "onnx")

    @property
    def runs_here(self) -> bool:
        """Whether the installed ONNX Runtime is new enough for the case."""
        _, _, needed = self.options.get("needs", "").partition(" ")
        return _version(onnxruntime.__version__) >= _version(needed)

    def model(self) -> ModelProto:
        """The model with its weights drawn."""
        proto = onnx.parser.parse_model(self.source)
        _draw_weights(proto)
        return proto

    def text(self) -> str:
        head = "".join(f"{key}: {value}\n" for key, value in self.options.items())
        missed = f"--- missed\n{self.missed}" if self.missed else ""
        return f"=== {self.title}\n{head}{self.source}--- after\n{self.after}{missed}"


def _version(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def read(path: Path) -> list[Case]:
    """The cases of one file."""
    cases: list[Case] = []
    section = "source"
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("=== "):
            cases.append(Case(path, line[4:].strip()))
            section = "source"
        elif line.rstrip() in ("--- after", "--- missed"):
            section = line[4:].strip()
        elif cases:
            key, colon, value = line.partition(":")
            if section == "source" and not cases[-1].source and colon and key in _OPTIONS:
                cases[-1].options[key] = value.strip()
            elif line.strip() or section != "source":
                setattr(cases[-1], section, getattr(cases[-1], section) + line)
    for case in cases:
        case.after, case.missed = _closed(case.after), _closed(case.missed)
    return cases


def _closed(text: str) -> str:
    return text.strip("\n") + "\n" if text.strip() else ""


def write(path: Path, cases: list[Case]) -> None:
    path.write_text("\n".join(case.text() for case in cases), encoding="utf-8")


def outcome(result: Result) -> tuple[str, str]:
    """(text of the model after, text of what was refused)."""
    missed = dict.fromkeys(f"{r.node}: {r.text}" for r in result.remarks if r.kind != "applied")
    return model_text(result.model), "".join(f"{line}\n" for line in missed)


def _draw_weights(proto: ModelProto) -> None:
    graph = proto.graph
    made = {name for node in graph.node for name in node.output}
    made |= {t.name for t in graph.initializer} | {i.name for i in graph.input}
    for info in [i for i in graph.value_info if i.name not in made]:
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        generator = np.random.default_rng(zlib.crc32(info.name.encode()))
        array = generator.standard_normal(shape)
        if info.name.startswith("var"):
            array = np.abs(array) + 0.5
        kind = np.dtype(tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type))
        array = np.rint(array * 8) if kind.kind in "iu" else array
        graph.initializer.append(numpy_helper.from_array(np.asarray(array).astype(kind), info.name))
        graph.value_info.remove(info)
