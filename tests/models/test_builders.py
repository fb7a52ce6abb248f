"""The models built by code: valid, deterministic, runnable at several sizes, and computing what they say."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from planish.models import BUILDERS, build, names, sample_inputs


def run(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([value.name for value in session.get_outputs()], session.run(None, inputs), strict=True))


@pytest.mark.parametrize("name", names())
def test_same_seed_gives_same_bytes_and_another_seed_others(name: str) -> None:
    first = build(name, seed=3).SerializeToString(deterministic=True)
    assert first == build(name, seed=3).SerializeToString(deterministic=True)
    assert first != build(name, seed=4).SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", names())
def test_model_is_valid_and_every_node_has_its_own_name(name: str) -> None:
    model = build(name)
    onnx.checker.check_model(model, full_check=True)
    node_names = [node.name for node in model.graph.node]
    assert all(node_names)
    assert len(set(node_names)) == len(node_names)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("sizes", [{}, {"batch": 1, "sequence": 1, "past": 0, "height": 21, "width": 30}])
def test_outputs_are_finite_differ_and_have_the_declared_shape(name: str, sizes: dict[str, int]) -> None:
    model = build(name)
    results = run(model, sample_inputs(model, seed=1, sizes=sizes))
    for value in model.graph.output:
        declared = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        result = results[value.name]
        assert len(declared) == result.ndim
        assert all(size in (0, actual) for size, actual in zip(declared, result.shape, strict=True))
        assert np.isfinite(result).all()
    first = results[model.graph.output[0].name]
    assert first.size == 0 or first.std() > 1e-3


@pytest.mark.parametrize("name", ["resnet", "inception", "densenet", "mobilenet", "unet"])
def test_batch_normalization_stays_and_is_not_the_identity(name: str) -> None:
    graph = build(name).graph
    weights = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    norms = [node for node in graph.node if node.op_type == "BatchNormalization"]
    assert len(norms) >= 14
    for node in norms:
        scale, shift, mean, variance = (weights[name] for name in node.input[1:])
        assert variance.min() > 0
        assert min(scale.std(), shift.std(), mean.std(), variance.std()) > 0


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="resnet"):
        build("vgg")


def test_table_lists_the_names() -> None:
    assert names() == list(BUILDERS)


def test_tagger_finds_the_best_path() -> None:
    model = build("lstm_tagger", seed=5)
    results = run(model, sample_inputs(model, seed=2, sizes={"batch": 3, "sequence": 4}))
    transitions = next(numpy_helper.to_array(w) for w in model.graph.initializer if w.name == "transitions")
    for scores, tags in zip(results["scores"], results["tags"], strict=True):
        def total(path: tuple[int, ...], scores: np.ndarray = scores) -> float:
            steps = sum(transitions[a, b] for a, b in itertools.pairwise(path))
            return float(steps + sum(scores[i, tag] for i, tag in enumerate(path)))

        best = max(itertools.product(range(scores.shape[1]), repeat=len(scores)), key=total)
        assert tuple(tags) == best


def test_decoder_with_a_cache_continues_as_if_it_had_read_everything() -> None:
    model = build("llama_block")
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 97, (2, 6))
    empty = {f"past_key_values.{layer}.{part}": np.zeros((2, 2, 0, 8), np.float32)
             for layer in range(2) for part in ("key", "value")}  # fmt: skip

    def step(start: int, end: int, cache: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        positions = np.broadcast_to(np.arange(start, end), (2, end - start))
        mask = np.ones((2, end), np.int64)
        return run(model, {"input_ids": ids[:, start:end], "attention_mask": mask, "position_ids": positions, **cache})

    whole = step(0, 6, empty)
    before = step(0, 4, empty)
    cache = {key.replace("present", "past_key_values"): value for key, value in before.items() if key != "logits"}
    after = step(4, 6, cache)
    np.testing.assert_allclose(before["logits"], whole["logits"][:, :4], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(after["logits"], whole["logits"][:, 4:], rtol=1e-4, atol=1e-4)


def test_encoder_ignores_what_the_mask_hides() -> None:
    model = build("bert_block")
    inputs = sample_inputs(model, seed=4, sizes={"sequence": 6})
    inputs["attention_mask"][:] = [1, 1, 1, 1, 0, 0]
    changed = {**inputs, "input_ids": inputs["input_ids"].copy()}
    changed["input_ids"][:, 4:] = (changed["input_ids"][:, 4:] + 1) % 97
    first, second = run(model, inputs), run(model, changed)
    np.testing.assert_allclose(first["last_hidden_state"][:, :4], second["last_hidden_state"][:, :4], atol=1e-5)
    assert np.abs(first["last_hidden_state"][:, 4:] - second["last_hidden_state"][:, 4:]).max() > 1e-2
