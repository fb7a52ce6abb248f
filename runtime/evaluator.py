"""Runs constant subgraphs for folding, in ONNX Runtime with its own optimizations off."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from ..compiler.errors import EvaluationError
from .onnxruntime_session import open_session


class OrtEvaluator:
    """Evaluates models without inputs; the kernels are those that would run at inference."""

    def evaluate(self, model: ModelProto) -> list[np.ndarray]:
        """The outputs, in order.

        Raises:
            EvaluationError: ONNX Runtime cannot load or run the model.
        """
        results = open_session(model).run({})
        if not all(isinstance(result, np.ndarray) for result in results):
            raise EvaluationError("a constant subgraph does not give tensors")
        return results
