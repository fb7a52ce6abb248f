"""Which operators give the same outputs for the same inputs, so that they may be folded or shared."""

from __future__ import annotations

from ...compiler.graph import Node

_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
_KNOWN_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})


def is_deterministic(node: Node) -> bool:
    """False for random operators (Dropout in training included), and for unknown domains, whose ops we cannot judge."""
    function = node.graph.model.function_of(node)
    if function is not None:
        return all(is_deterministic(inner) for inner in function)
    if node.domain not in _KNOWN_DOMAINS or node.op_type in _RANDOM or node.is_left_alone:
        return False
    if node.op == "Dropout":
        return is_inference_dropout(node)
    return all(is_deterministic(inner) for body in node.bodies.values() for inner in body)


def is_inference_dropout(node: Node) -> bool:
    """True if a Dropout certainly passes its input on: no training mode, or a ratio of 0."""
    if node.version < 7:
        return bool(node.attr("is_test", 0))
    if node.version < 12:
        return True
    ratio = None if node.input(1) is None else node.inputs[1]
    if ratio is not None and ratio.constant is not None and not ratio.constant.numpy().any():
        return True
    training = node.input(2)
    return training is None or (training.constant is not None and not training.constant.numpy().any())
