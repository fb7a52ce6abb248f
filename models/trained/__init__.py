"""The models that were trained on scikit-learn's data: where they lie, and how well they do on what was held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ..datasets import Split, digit_images, digit_rows, tumours

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Trained:
    """A shipped model's data and the share of the held-out samples that it classifies correctly."""

    data: Callable[[], Split]
    accuracy: float


TRAINED: dict[str, Trained] = {
    "digits_cnn": Trained(digit_images, 0.9889),
    "digits_attention": Trained(digit_rows, 0.9889),
    "digits_gru": Trained(digit_rows, 0.9756),
    "tumours_mlp": Trained(tumours, 0.9720),
}


def trained(name: str) -> Path:
    """The path of the shipped model `name`. Raises KeyError for an unknown name."""
    if name not in TRAINED:
        raise KeyError(f"no trained model is called {name!r}; there are {', '.join(TRAINED)}")
    return FOLDER / f"{name}.onnx"


def accuracy(name: str, model: str | Path | onnx.ModelProto | onnxruntime.InferenceSession | None = None) -> float:
    """The share of `name`'s held-out samples that `model` (by default the shipped one) classifies correctly.

    The model's first input takes the samples and its first output scores the classes. Needs scikit-learn, which
    the extras `test` and `train` bring.
    """
    path = trained(name) if model is None else model
    if isinstance(path, onnx.ModelProto):
        session = onnxruntime.InferenceSession(path.SerializeToString(), providers=["CPUExecutionProvider"])
    elif isinstance(path, str | Path):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    else:
        session = path
    split = TRAINED[name].data()
    scores = session.run(None, {session.get_inputs()[0].name: split.test_inputs})[0]
    return float((np.argmax(scores, axis=1) == split.test_labels).mean())


def save_trained(name: str, model: onnx.ModelProto, arguments: Sequence[str]) -> None:
    """Saves a freshly trained model at the first argument (else over the shipped file); prints its accuracy."""
    onnx.checker.check_model(model, full_check=True)
    target = Path(arguments[0]) if arguments else FOLDER / f"{name}.onnx"
    onnx.save(model, target)
    print(f"{target}: {target.stat().st_size:,} bytes, {accuracy(name, target):.4f} of the held-out samples right")
