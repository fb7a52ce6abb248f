"""Classical learners (ai.onnx.ml) and steps of gradient descent (ai.onnx.preview.training)."""

from __future__ import annotations

from collections.abc import Sequence

from .. import dtypes
from ..graph import Node
from ..symbolic import Dim
from ..tensor import Tensor
from .axes import known
from .facts import Facts, rule, unknown_dim


@rule("ai.onnx.ml::Binarizer", "ai.onnx.ml::Imputer")
def like_input(node: Node) -> Sequence[Facts]:
    return (Facts(*known(node.input(0))),)


@rule("ai.onnx.ml::Scaler", "ai.onnx.ml::Normalizer")
def scaled(node: Node) -> Sequence[Facts]:
    return (Facts(dtypes.FLOAT, known(node.input(0))[1]),)


_OTHER_KIND: dict[int, int] = {dtypes.STRING: dtypes.INT64, dtypes.INT64: dtypes.STRING}


@rule("ai.onnx.ml::LabelEncoder")
def label_encoder(node: Node) -> Sequence[Facts]:
    dtype, shape = known(node.input(0))
    if node.version < 2:
        return (Facts(_OTHER_KIND.get(dtype, dtypes.UNKNOWN), shape),)
    table = node.attr("values_tensor")
    if isinstance(table, Tensor):
        return (Facts(table.dtype, shape),)
    kinds = {"values_strings": dtypes.STRING, "values_int64s": dtypes.INT64, "values_floats": dtypes.FLOAT}
    found = [kind for name, kind in kinds.items() if node.attr(name)]
    return (Facts(found[0] if len(found) == 1 else 0, shape),)


@rule("ai.onnx.ml::OneHotEncoder")
def one_hot_encoder(node: Node) -> Sequence[Facts]:
    shape = known(node.input(0))[1]
    numbers, strings = node.attr("cats_int64s"), node.attr("cats_strings")
    categories = numbers or strings
    if shape is None or not isinstance(categories, tuple):
        return (Facts(dtypes.FLOAT),)
    return (Facts(dtypes.FLOAT, (*shape, len(categories))),)


def _rows(node: Node) -> Dim | None:
    """Samples of a (samples, features) input; None for the other layouts that the operators accept."""
    shape = known(node.input(0))[1]
    return shape[0] if shape is not None and len(shape) == 2 else None


@rule("ai.onnx.ml::LinearRegressor", "ai.onnx.ml::TreeEnsembleRegressor")
def regressor(node: Node) -> Sequence[Facts]:
    rows = _rows(node)
    targets = node.int_attr("targets", 1) if node.op_type == "LinearRegressor" else node.int_attr("n_targets", 0)
    if rows is None:
        return (Facts(dtypes.FLOAT),)
    return (Facts(dtypes.FLOAT, (rows, targets if targets > 0 else unknown_dim(node, 0, 1))),)


@rule("ai.onnx.ml::LinearClassifier", "ai.onnx.ml::TreeEnsembleClassifier", "ai.onnx.ml::SVMClassifier")
def classifier(node: Node) -> Sequence[Facts]:
    """Labels and scores; how many scores a binary classifier gives depends on its attributes."""
    rows = _rows(node)
    strings = node.attr("classlabels_strings") or node.attr("classlabels_string")
    label = dtypes.STRING if strings else dtypes.INT64
    if rows is None:
        return (Facts(label), Facts(dtypes.FLOAT))
    return (Facts(label, (rows,)), Facts(dtypes.FLOAT, (rows, unknown_dim(node, 1, 1))))


@rule("ai.onnx.preview.training::Adagrad", "ai.onnx.preview.training::Adam", "ai.onnx.preview.training::Momentum")
def gradient_step(node: Node) -> Sequence[Facts]:
    """Inputs: rate, count, n tensors, n gradients, then n of each state; outputs: the tensors and the states anew."""
    groups = 4 if node.op_type == "Adam" else 3
    count = (len(node.inputs) - 2) // groups
    renewed = [*node.inputs[2 : 2 + count], *node.inputs[2 + 2 * count :]]
    return [Facts(*known(value)) for value in renewed]
