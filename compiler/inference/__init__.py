"""Type, shape and content inference with symbolic dimensions: one rule per operator, by family."""

from . import (
    control_flow,
    generators,
    learned,
    movement,
    movement_extent,
    neural,
    neural_einsum,
    neural_image,
    neural_recurrent,
    neural_signal,
    neural_window,
    numeric,
    reduction,
    sequences,
)
from .engine import infer_graph, infer_model, infer_node, refresh
from .facts import RULES, Facts, content_of, rule, unknown_dim

RULE_FAMILIES = (
    control_flow, generators, learned, movement, movement_extent, neural, neural_einsum, neural_image,
    neural_recurrent, neural_signal, neural_window, numeric, reduction, sequences,
)  # fmt: skip

__all__ = ["RULES", "RULE_FAMILIES", "Facts", "content_of", "infer_graph", "infer_model", "infer_node", "refresh",
           "rule", "unknown_dim"]  # fmt: skip
