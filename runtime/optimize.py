"""The main job: read, optimize, prove, and hand everything back in one Result."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import onnx_graphsurgeon as gs
from onnx import ModelProto

from ..compiler import pipeline as pipelines
from ..compiler.errors import OptionError, VerificationError
from ..compiler.graph_pass import Context, Pass
from ..compiler.inference import infer_model
from ..compiler.journal import Fuel, Journal, Remark
from ..compiler.model import Model
from ..compiler.reading import load
from ..compiler.writing import save, to_proto
from ..passes import PASSES, PIPELINES
from .evaluator import OrtEvaluator
from .interface import drop_outputs, fix_shapes
from .parity import ParityReport, Reference
from .statistics import Statistics

Source: TypeAlias = str | Path | ModelProto | gs.Graph
VERIFY = ("off", "final", "each")


@dataclass
class Options:
    """What `optimize` is asked to do; see there."""

    passes: str = "default"
    skip: Sequence[str] = ()
    target: str = "onnx"
    opset: int | None = None
    verify: str = "final"
    samples: Path | None = None
    seed: int = 0
    outputs: Sequence[str] = ()
    drop_outputs: Sequence[str] = ()
    input_shapes: dict[str, tuple[int | str, ...]] = field(default_factory=dict)
    freeze: bool = False
    plugins: dict[str, type[Pass]] = field(default_factory=dict)
    progress: Callable[[str], None] | None = None


@dataclass
class Result:
    """An optimized model with the account of how it came about.

    model: the IR. journal: every rewrite and remark. parity: the proof, None with verify="off". held_back: rewrites
    that were found to be wrong and taken back. seconds: of the optimization alone.
    """

    model: Model
    journal: Journal
    before: Statistics
    after: Statistics
    pipeline: str
    parity: ParityReport | None = None
    held_back: tuple[str, ...] = ()
    seconds: float = 0.0
    verify_seconds: float = 0.0
    _graphsurgeon: bool = False

    @property
    def remarks(self) -> list[Remark]:
        return self.journal.remarks

    def proto(self) -> ModelProto:
        """The model as a ModelProto (tensors in other files stay references)."""
        return to_proto(self.model)

    def graph(self) -> gs.Graph:
        """The model as a graphsurgeon graph."""
        return gs.import_onnx(self.proto())

    def save(self, path: str | Path, *, external_data: bool | None = None) -> None:
        """Write the model; whole or not at all."""
        save(self.model, path, external_data=external_data)


def optimize(source: Source, **options: Any) -> Result:
    """Optimize a model without changing what it computes.

    Args:
        source: path, ModelProto or graphsurgeon Graph; never changed.
        passes: name of a pipeline ("default", ...) or pipeline text.
        skip: names of passes to leave out.
        target: "onnx" (standard operators only), "ort" or "tensorrt".
        opset: convert to this opset first; None keeps the model's.
        verify: "off", "final" (compare the result with the original) or "each" (check invariants and numbers after
            every pass that changed something).
        samples: .npz file with real inputs for the comparison.
        outputs, drop_outputs: graph outputs to keep, or to drop.
        input_shapes: input name -> dimensions to fix.
        freeze: treat weights that are listed as inputs as constants and drop the listing.
        plugins: further passes by name.
        progress: called with the name of what is being done.

    Raises:
        PlanishError: bad options, a broken model, or a result that is wrong and could not be repaired.
    """
    chosen = Options(**options)
    if chosen.verify not in VERIFY:
        raise OptionError(f"verify must be one of {', '.join(VERIFY)}, not '{chosen.verify}'")
    job = _Job(source, chosen)
    return job.run()


class _Job:
    def __init__(self, source: Source, options: Options) -> None:
        self.options = options
        self.source = gs.export_onnx(source) if isinstance(source, gs.Graph) else source
        registry = {**PASSES, **options.plugins}
        text = PIPELINES.get(options.passes, options.passes)
        unknown = [name for name in options.skip if name not in registry]
        if unknown:
            raise OptionError(f"there is no pass '{unknown[0]}' to skip", hint="`planish passes` lists all")
        self.pipeline = pipelines.parse(text, registry).without(options.skip)

    def run(self) -> Result:
        self._say("reading")
        original = self._prepare()
        before = Statistics.of(original)
        context, seconds = self._optimize(original, Fuel(), guard=self.options.verify == "each")
        result = Result(
            context.model, context.journal, before, Statistics.of(context.model), str(self.pipeline), seconds=seconds
        )
        if self.options.verify != "off":
            started = time.perf_counter()
            result = self._prove(result)
            result.verify_seconds = time.perf_counter() - started
        return result

    def _prepare(self) -> Model:
        model = load(self.source)
        options = self.options
        if options.freeze:
            for value in list(model.graph.initializers):
                if value.overridable:
                    value.overridable = False
                    value.shape = value.tensor.shape if value.tensor is not None else value.shape
                    model.graph.inputs.remove(value)
        if options.outputs or options.drop_outputs:
            drop_outputs(model, options.outputs, options.drop_outputs)
        if options.input_shapes:
            fix_shapes(model, options.input_shapes)
        if options.opset is not None and options.opset != model.opsets.get("", 0):
            converted = onnx.version_converter.convert_version(to_proto(model), options.opset)
            model = load(converted)
        infer_model(model)
        return model

    def _optimize(self, model: Model, fuel: Fuel, guard: bool = False) -> tuple[Context, float]:
        context = Context(model, fuel=fuel, target=self.options.target, evaluator=OrtEvaluator())
        started = time.perf_counter()
        pipelines.run(self.pipeline, context, pipelines.Instruments(guard, self._say))
        return context, time.perf_counter() - started

    def _prove(self, result: Result) -> Result:
        self._say("running the original")
        plain = self._prepare()
        with _Runnable() as folder:
            reference = Reference(folder.place(plain, "original"), samples=self.options.samples, seed=self.options.seed)
            held_back: list[str] = []
            while True:
                self._say("comparing")
                result.parity = reference.compare(folder.place(result.model, "optimized"))
                result.held_back = tuple(held_back)
                if result.parity.status != "mismatch":
                    return result
                guilty = self._guilty(reference, folder, frozenset(held_back), result.journal.count)
                if guilty is None or guilty in held_back:
                    raise VerificationError(f"the result differs from the original: {result.parity.reason}")
                held_back.append(guilty)
                context, seconds = self._optimize(self._prepare(), Fuel(held_back=frozenset(held_back)))
                result = Result(
                    context.model, context.journal, result.before, Statistics.of(context.model), result.pipeline,
                    seconds=seconds,
                )  # fmt: skip

    def _guilty(
        self, reference: Reference, folder: _Runnable, held_back: frozenset[str], count: int
    ) -> str | None:
        """The key of the first rewrite after which the outputs differ, found by halving the fuel."""
        right, wrong = 0, count
        context = None
        while wrong - right > 1:
            middle = (right + wrong) // 2
            self._say(f"looking for the wrong rewrite ({right} to {wrong})")
            context, _ = self._optimize(self._prepare(), Fuel(middle, held_back))
            if reference.compare(folder.place(context.model, "bisected")).status == "mismatch":
                wrong = middle
            else:
                right = middle
        context, _ = self._optimize(self._prepare(), Fuel(wrong, held_back))
        rewrites = list(context.journal.rewrites())
        return rewrites[wrong - 1].key if 0 < wrong <= len(rewrites) else None

    def _say(self, what: str) -> None:
        if self.options.progress is not None:
            self.options.progress(what)


class _Runnable:
    """A temporary folder for models that ONNX Runtime opens by path, so that big weights are never in a proto."""

    def __enter__(self) -> _Runnable:
        self._folder = tempfile.TemporaryDirectory(prefix="planish-")
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def place(self, model: Model, name: str) -> Path:
        path = Path(self._folder.name) / f"{name}.onnx"
        save(model, path)
        return path
