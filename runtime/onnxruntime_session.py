"""Sessions of ONNX Runtime on the CPU, with its optimizations off unless asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import onnxruntime as ort
from onnx import ModelProto

from ..compiler.errors import EvaluationError
from .narrow_types import from_ort, is_narrow, to_ort

ort.set_default_logger_severity(4)

_LEVELS = {
    "off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


Described = tuple[tuple[str, str], ...]
Interface = tuple[Described, Described]  # (name, type) of the inputs, and of the outputs


def _described(arguments: Iterable[Any]) -> Described:
    return tuple((argument.name, argument.type) for argument in arguments)


class Session:
    """A loaded model: `run` takes arrays by input name and gives the outputs in order."""

    def __init__(self, inner: ort.InferenceSession) -> None:
        self._inner = inner
        self.input_names: list[str] = [i.name for i in inner.get_inputs()]
        self.output_names: list[str] = [o.name for o in inner.get_outputs()]
        self.interface: Interface = (_described(inner.get_inputs()), _described(inner.get_outputs()))
        self._plain = not any(is_narrow(t.type) for t in [*inner.get_inputs(), *inner.get_outputs()])

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """Outputs in order: arrays, lists (sequences) or None (empty optionals).

        Raises:
            EvaluationError: the model cannot run on these inputs.
        """
        try:
            if self._plain:
                return list(self._inner.run(None, dict(feeds)))
            given = {name: to_ort(array) for name, array in feeds.items()}
            return [from_ort(v) for v in self._inner.run_with_ort_values(self.output_names, given)]
        except Exception as error:
            raise EvaluationError(f"ONNX Runtime failed: {_first_line(error)}") from error


def open_session(model: ModelProto | str | Path, *, level: str = "off", threads: int = 1) -> Session:
    """Load a model.

    Args:
        model: a proto, or a path (needed for external data).
        level: "off", "basic" or "all" of ONNX Runtime's own optimizations.
        threads: threads within an operator.

    Raises:
        EvaluationError: ONNX Runtime does not take the model.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = _LEVELS[level]
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        source = model.SerializeToString() if isinstance(model, ModelProto) else str(model)
        return Session(ort.InferenceSession(source, options, providers=["CPUExecutionProvider"]))
    except Exception as error:
        raise EvaluationError(f"ONNX Runtime cannot load the model: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
