"""The main job: read, optimize, prove, and hand everything back in one Result."""

from __future__ import annotations

import functools
import inspect
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import onnx_graphsurgeon as gs
from onnx import ModelProto

from ..compiler import pipeline as pipelines
from ..compiler.errors import PassError, UnsupportedModelError
from ..compiler.garbage import collection_paused
from ..compiler.graph_pass import Context
from ..compiler.inference import infer_model
from ..compiler.journal import Fuel
from ..compiler.model import Model
from ..compiler.pipeline import Instruments
from ..compiler.reading import load
from ..compiler.saving import save
from ..passes import PIPELINES
from .evaluator import OrtEvaluator
from .interface import drop_outputs, fix_shapes, freeze_weights
from .opset import convert_opset
from .options import InputShapes, Names, Options, Plugin, Progress, byte_count, name_list, refuse_unknown, shape_map
from .parity import Reference
from .plugins import passes_of, registry_with
from .proof import Proof
from .reproducer import leave_reproducer
from .result import Result
from .statistics import Statistics

Source: TypeAlias = str | Path | ModelProto | gs.Graph


def optimize(
    source: Source,
    *,
    passes: str | None = None,
    skip: Names = (),
    target: str = "onnx",
    opset: int | None = None,
    verify: str = "final",
    samples: str | Path | None = None,
    seed: int = 0,
    outputs: Names = (),
    drop_outputs: Names = (),
    input_shapes: InputShapes = (),
    freeze: bool = False,
    plugins: Sequence[Plugin] = (),
    fold_budget: int | str = "16MiB",
    fuel: int | None = None,
    reproducer: str | Path | None = None,
    progress: Progress | None = None,
    **unknown: object,
) -> Result:
    """Optimize a model without changing what it computes.

    Args:
        source: path, ModelProto or graphsurgeon Graph; never changed.
        passes: pipeline text, in which the name of a pipeline ("default", "ort", "tensorrt") stands for its passes;
            None runs the passes of `plugins` and then the pipeline for the target.
        skip: names of passes to leave out.
        target: "onnx" (standard operators only), "ort" (those of ONNX Runtime too) or "tensorrt" (what its parser
            takes).
        opset: convert to this opset first; None keeps the model's.
        verify: "off", "final" (compare the result with the original) or "each" (check invariants and numbers after
            every pass that changed something).
        samples: .npz file with real inputs for the comparison; seeded ones are drawn without it.
        seed: of the drawn inputs.
        outputs, drop_outputs: graph outputs to keep, or to drop.
        input_shapes: input name -> dimensions to fix, or texts like "x:1,3,224,224".
        freeze: treat weights that are listed as inputs as constants and drop the listing.
        plugins: further passes: Pass classes, or Python files that define some.
        fold_budget: bytes by which folding constants may make the file larger in all.
        fuel: apply only the first so many rewrites.
        reproducer: folder for what it takes to see a pass fail again, if one fails.
        progress: called with the name of what is being done and the share of the steps that are over, from 0 to 1.

    Raises:
        PlanishError: bad options, a broken model, or a result that is wrong and could not be repaired.
    """
    refuse_unknown(unknown, list(inspect.signature(optimize).parameters)[1:-1])
    options = Options(
        passes=passes, skip=name_list("skip", skip), target=target, opset=opset, verify=verify,
        samples=Path(samples) if samples is not None else None, seed=seed, outputs=name_list("outputs", outputs),
        drop_outputs=name_list("drop_outputs", drop_outputs), input_shapes=shape_map(input_shapes), freeze=freeze,
        plugins=tuple(plugins), fold_budget=byte_count("fold_budget", fold_budget), fuel=fuel,
        reproducer=Path(reproducer) if reproducer is not None else None, progress=progress,
    )  # fmt: skip
    return _Job(source, options).run()


class _Job:
    def __init__(self, source: Source, options: Options) -> None:
        self.options = options
        self.said: set[str] = set()
        self.source = gs.export_onnx(source) if isinstance(source, gs.Graph) else source
        registry = registry_with(options.plugins)
        for name in options.skip:
            pipelines.look_up(name, registry)
        extra = [kind.name for plugin in options.plugins for kind in passes_of(plugin)]
        usual = options.target if options.target in PIPELINES else "default"
        text = options.passes if options.passes is not None else ",".join([*extra, usual])
        self.pipeline = pipelines.parse(text, registry, PIPELINES).without(options.skip)

    def run(self) -> Result:
        try:
            with collection_paused():
                return self._run()
        except PassError as error:
            failed = self.current
            fresh = functools.partial(self._context, fuel=failed.fuel)
            leave_reproducer(error, failed, self.pipeline, self.options, self._prepare, fresh)
            raise

    def _prepare(self) -> Model:
        """The model as the pipeline gets it."""
        model = self._read()
        infer_model(model)
        return self._convert(model)

    def _run(self) -> Result:
        self._say("reading")
        self.original: Model | None = self._read()
        infer_model(self.original)
        before = Statistics.of(self.original)
        self.source_bytes = _file_bytes(self.source, self.original)
        if self.options.verify == "off":
            context = self._begin(None, frozenset())
            return self._result(context, before, self._go(context, None))
        started = time.perf_counter()
        with _Runnable() as folder:
            reference = self._reference(folder)
            each = self.options.verify == "each"
            proof = Proof(self._begin, self._go, reference, folder.place, each, self._say)
            attempt = proof.run()
        result = self._result(attempt.context, before, attempt.seconds)
        result.parity, result.held_back = attempt.report, proof.held_back
        result.verify_seconds = time.perf_counter() - started - attempt.seconds
        return result

    def _result(self, context: Context, before: Statistics, seconds: float) -> Result:
        source = str(self.source) if isinstance(self.source, str | os.PathLike) else ""
        return Result(
            context.model, context.journal, before, str(self.pipeline), self.options.target, seconds=seconds,
            source=source, source_bytes=self.source_bytes,
        )  # fmt: skip

    def _read(self) -> Model:
        """The original with the interface that the user asks for."""
        model = load(self.source)
        options = self.options
        if options.freeze:
            freeze_weights(model)
        if options.outputs or options.drop_outputs:
            drop_outputs(model, options.outputs, options.drop_outputs)
        if options.input_shapes:
            fix_shapes(model, options.input_shapes)
        return model

    def _convert(self, model: Model) -> Model:
        if self.options.opset is None or self.options.opset == model.opsets.get(""):
            return model
        self._say(f"converting to opset {self.options.opset}")
        converted = convert_opset(model, self.options.opset)
        infer_model(converted)
        return converted

    def _begin(self, limit: int | None, held_back: frozenset[str]) -> Context:
        """A fresh context, for a number of rewrites without some of them."""
        model, self.original = self.original, None
        model = self._prepare() if model is None else self._convert(model)
        limits = [n for n in (limit, self.options.fuel) if n is not None]
        self.current = self._context(model, Fuel(min(limits, default=None), held_back))
        return self.current

    def _context(self, model: Model, fuel: Fuel) -> Context:
        context = Context(
            model, fuel=fuel, target=self.options.target, evaluator=OrtEvaluator(),
            fold_budget=self.options.fold_budget,
        )  # fmt: skip
        for node, text in model.doubts:
            context.remark("analysis", "inference", node, text)
        return context

    def _go(self, context: Context, after: pipelines.Observer | None) -> float:
        """Run the pipeline; seconds."""
        started = time.perf_counter()
        guard = self.options.verify == "each"
        pipelines.run(self.pipeline, context, Instruments(guard, lambda one: self._say(one.name), after))
        return time.perf_counter() - started

    def _reference(self, folder: _Runnable) -> Reference:
        """The answers of the model as the user gave it, or of its part that the user asks for."""
        self._say("running the original")
        options = self.options
        asked = options.freeze or options.outputs or options.drop_outputs or options.input_shapes
        original = folder.place(self._read(), "original") if asked else self.source
        if not isinstance(original, ModelProto):
            original = Path(original)
        reference = Reference(original, samples=options.samples, seed=options.seed)
        if options.opset is not None:
            report = reference.compare(folder.place(self._convert(self._read()), "converted"))
            if report.status == "mismatch":
                raise UnsupportedModelError(
                    f"converted to opset {options.opset} the model computes something else: {report.reason}",
                    hint="leave the opset as it is",
                )
        return reference

    def _say(self, what: str) -> None:
        """Report a step; one that comes again, as passes do in later rounds, does not count as progress."""
        if self.options.progress is not None:
            steps = 1 + len({one.name for one in self.pipeline.passes()}) + 2 * (self.options.verify != "off")
            self.options.progress(what, min(len(self.said) / steps, 1.0))
            self.said.add(what)


def _file_bytes(source: Source, model: Model) -> int:
    """Bytes of a model's file with its external data; 0 if it came from memory."""
    if not isinstance(source, str | os.PathLike):
        return 0
    tensors = [v.tensor for graph in model.graphs() for v in graph.initializers]
    return os.stat(source).st_size + sum(t.nbytes for t in tensors if t is not None and t.external is not None)


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
