"""planish: a graph-level optimizing compiler for ONNX models.

    import planish
    result = planish.optimize("model.onnx")
    result.save("model.optimized.onnx")
"""

from .compiler.errors import (
    BackendError,
    EvaluationError,
    ModelError,
    OptionError,
    PassError,
    PlanishError,
    UnsafeModelError,
    UnsupportedModelError,
    VerificationError,
)
from .compiler.graph import Graph, Node, Value
from .compiler.graph_pass import Context, Effect, Pass, RewritePass
from .compiler.model import Model
from .compiler.pattern import any_, known, maybe, op
from .compiler.reading import load
from .compiler.saving import save
from .compiler.writing import to_proto
from .passes import PASSES, PIPELINES
from .runtime.checking.check import check
from .runtime.graphsurgeon_pass import graphsurgeon_pass
from .runtime.optimize import optimize
from .runtime.result import Result

__version__ = "0.1.0"

__all__ = [
    "PASSES", "PIPELINES", "BackendError", "Context", "Effect", "EvaluationError", "Graph", "Model", "ModelError",
    "Node", "OptionError", "Pass", "PassError", "PlanishError", "Result", "RewritePass", "UnsafeModelError",
    "UnsupportedModelError", "Value", "VerificationError", "__version__", "any_", "check", "graphsurgeon_pass", "known",
    "load", "maybe", "op", "optimize", "save", "to_proto",
]  # fmt: skip
