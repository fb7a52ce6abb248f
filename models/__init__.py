"""Small models: imitations of real exports built by code with a seed, and a few that were trained.

    from planish.models import build, names, sample_inputs, trained
    model = build("resnet", seed=0)
    path = trained("digits_cnn")
"""

from __future__ import annotations

from collections.abc import Callable

import onnx

from .bert_block import bert_block
from .densenet import densenet
from .inception import inception
from .llama_block import llama_block
from .lstm_tagger import lstm_tagger
from .mobilenet import mobilenet
from .quantized_cnn import quantized_cnn
from .resnet import resnet
from .sample_inputs import sample_inputs
from .trained import TRAINED, accuracy, trained
from .unet import unet
from .yolo_head import yolo_head

BUILDERS: dict[str, Callable[[int], onnx.ModelProto]] = {
    "resnet": resnet,
    "inception": inception,
    "densenet": densenet,
    "mobilenet": mobilenet,
    "yolo_head": yolo_head,
    "bert_block": bert_block,
    "llama_block": llama_block,
    "unet": unet,
    "lstm_tagger": lstm_tagger,
    "quantized_cnn": quantized_cnn,
}


def names() -> list[str]:
    return list(BUILDERS)


def build(name: str, seed: int = 0) -> onnx.ModelProto:
    """The model called `name`; the same seed gives the same bytes. Raises KeyError for an unknown name."""
    if name not in BUILDERS:
        raise KeyError(f"no model is called {name!r}; there are {', '.join(BUILDERS)}")
    return BUILDERS[name](seed)


__all__ = ["BUILDERS", "TRAINED", "accuracy", "build", "names", "sample_inputs", "trained"]
