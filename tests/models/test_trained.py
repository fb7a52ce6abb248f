"""The shipped models reach the stated accuracy, and the code that trained them differentiates and exports rightly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest

from planish.models import TRAINED, accuracy, trained
from planish.models.train import digits, digits_attention, digits_gru, tumours
from planish.models.train.autodiff import (
    Tensor,
    concat,
    conv2d,
    cross_entropy,
    erf_gelu,
    max_pool,
    normalize,
    sigmoid,
    softmax,
    tanh,
)
from planish.models.train.network import Network


@pytest.mark.parametrize("name", list(TRAINED))
def test_shipped_model_is_valid_small_and_as_accurate_as_stated(name: str) -> None:
    path = trained(name)
    assert path.stat().st_size < 300_000
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert accuracy(name) == pytest.approx(TRAINED[name].accuracy, abs=0.008)


def test_accuracy_takes_paths_models_and_sessions() -> None:
    path = trained("tumours_mlp")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    measured = {accuracy("tumours_mlp", model) for model in (path, str(path), onnx.load(path), session)}
    assert measured == {accuracy("tumours_mlp")}


def test_unknown_trained_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="digits_cnn"):
        trained("imagenet")


def test_shipped_graphs_keep_what_exporters_leave() -> None:
    operators = {node.op_type for name in TRAINED for node in onnx.load(trained(name)).graph.node}
    assert operators >= {"BatchNormalization", "Dropout", "Identity", "Shape", "Unsqueeze", "Concat", "Erf", "GRU"}


def _untrained(forward: Callable[[Network, np.ndarray], Tensor], inputs: np.ndarray) -> Network:
    """A network after a few training-mode batches, so that the running statistics are none of the initial ones."""
    net = Network(7)
    for _ in range(3):
        forward(net, inputs)
    net.training = False
    return net


@pytest.mark.parametrize("module", [digits, digits_attention, digits_gru])
def test_exported_graph_computes_the_network(module: object) -> None:
    forward, export = module.forward, module.export  # type: ignore[attr-defined]
    shape = (5, 1, 8, 8) if module is digits else (5, 8, 8)
    inputs = np.random.default_rng(1).uniform(0, 16, shape).astype(np.float32)
    net = _untrained(forward, inputs)
    session = onnxruntime.InferenceSession(export(net).SerializeToString(), providers=["CPUExecutionProvider"])
    result = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    np.testing.assert_allclose(result, forward(net, inputs).data, rtol=1e-3, atol=1e-4)


def test_exported_tabular_model_scales_and_classifies_as_the_network() -> None:
    rng = np.random.default_rng(1)
    inputs = rng.normal(3.0, 2.0, (6, 30)).astype(np.float32)
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0)
    net = _untrained(tumours.forward, (inputs - mean) / deviation)
    model = tumours.export(net, mean, deviation)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    probabilities, label = session.run(None, {"measurements": inputs})
    expected = softmax(tumours.forward(net, (inputs - mean) / deviation)).data
    np.testing.assert_allclose(probabilities, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(label, expected.argmax(axis=1))


def test_one_epoch_of_training_learns_something() -> None:
    assert accuracy("tumours_mlp", tumours.train(epochs=3)) > 0.8


FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "arithmetic": lambda x, w: (x + w[0]) * x - w[0],
    "matmul": lambda x, w: x.transpose(0, 1, 3, 2) @ w[0],
    "activations": lambda x, w: tanh(x) * sigmoid(x) + erf_gelu(x),
    "softmax": lambda x, w: softmax(x) * softmax(x),
    "normalize": lambda x, w: normalize(x, (0, 2, 3), 1e-5) * w[0, 0, 0, 0],
    "conv": lambda x, w: conv2d(x, w[:, :, 1:, 1:], 1),
    "pool": lambda x, w: max_pool(x),
    "concat": lambda x, w: concat([x * x, w.mean(1, keepdims=True)], 1)[:, 1:],
}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_gradients_match_finite_differences(name: str) -> None:
    rng = np.random.default_rng(2)
    arrays = rng.standard_normal((2, 3, 4, 4)), rng.standard_normal((2, 3, 4, 4))
    labels = np.array([1, 0])

    def loss(x: Tensor, w: Tensor) -> Tensor:
        return cross_entropy(FUNCTIONS[name](x, w).reshape(2, -1), labels)

    tensors = [Tensor(array) for array in arrays]
    loss(*tensors).backward()
    for which, tensor in enumerate(tensors):
        direction = rng.standard_normal(tensor.shape)
        step = 1e-2
        ends = []
        for sign in (step, -step):
            moved = [Tensor(a + sign * direction) if i == which else Tensor(a) for i, a in enumerate(arrays)]
            ends.append(float(loss(*moved).data))
        slope = 0.0 if tensor.grad is None else float((tensor.grad * direction).sum())
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.03, abs=3e-3)
