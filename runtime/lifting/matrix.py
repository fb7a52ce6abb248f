"""Products of matrices."""

from __future__ import annotations

from .emitter import Frame


def matrix_multiply(frame: Frame) -> str:
    """A product, each operand as it is, transposed, or a vector."""
    operands, vectors = [], []
    for index, (attribute, axis) in enumerate((("op0", -2), ("op1", -1))):
        name, kind, rank = frame.x[index], frame.layer.choice(attribute), frame.rank(index)
        if kind == "TRANSPOSE":
            name = frame.op("Transpose", name, perm=[*range(rank - 2), rank - 1, rank - 2])
        elif kind == "VECTOR":
            name = frame.op("Unsqueeze", name, frame.ints([axis]))
            vectors.append(axis)
        operands.append(name)
    product = frame.op("MatMul", *operands)
    return frame.op("Squeeze", product, frame.ints(vectors)) if vectors else product


def einsum(frame: Frame) -> str:
    """A sum of products by an equation."""
    return frame.op("Einsum", *frame.x, equation=frame.raw.equation)
