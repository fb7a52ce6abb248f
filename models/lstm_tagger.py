"""A bidirectional LSTM tagger with Viterbi decoding, as torch.onnx.export writes a scripted LSTM-CRF at opset 16.

The initial states are expanded from the batch size, the unused final states stay, the directions are merged by
Transpose and Reshape, and the decoder is an If (sequences of one token need none) whose branch runs two Loops: best
scores forwards, the best path backwards (Huang et al. 2015, "Bidirectional LSTM-CRF Models for Sequence Tagging").
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from .graph_builder import BOOL, FLOAT, INT64, GraphBuilder
from .layers import dense, dimension, normal, uniform, unsqueeze

VOCABULARY = 97
EMBEDDING = 16
HIDDEN = 12
TAGS = 5


def _lstm(b: GraphBuilder, x: str, features: int, name: str) -> str:
    """A bidirectional LSTM over [sequence, batch, features] -> [sequence, batch, 2 * HIDDEN]."""
    batch = unsqueeze(b, dimension(b, x, 1), 0)
    shape = b.op("Concat", b.constant([2]), batch, b.constant([HIDDEN]), axis=0)
    initial = b.op("Expand", b.constant([[[0.0]]]), shape)
    bound = 1.0 / math.sqrt(HIDDEN)
    weights = [
        b.weight(f"{name}.W", uniform(b, (2, 4 * HIDDEN, features), -bound, bound)),
        b.weight(f"{name}.R", uniform(b, (2, 4 * HIDDEN, HIDDEN), -bound, bound)),
        b.weight(f"{name}.B", uniform(b, (2, 8 * HIDDEN), -bound, bound)),
    ]
    y = b.ops("LSTM", x, *weights, "", initial, initial, outputs=3, name=name, direction="bidirectional",
              hidden_size=HIDDEN)[0]  # fmt: skip
    return b.op("Reshape", b.op("Transpose", y, perm=[0, 2, 1, 3]), b.constant([0, 0, -1]))


def _forwards(b: GraphBuilder, scores: str, transitions: str, steps: str) -> tuple[str, str]:
    """The best score of each last tag [batch, TAGS], and the best previous tags [steps, batch, TAGS]."""
    body = b.body("viterbi_forward")
    step = body.input("forward_step", [], INT64)
    going = body.input("forward_going", [], BOOL)
    best = body.input("forward_best", ["batch", TAGS])
    body.output(body.op("Identity", going), "forward_goes_on", [], BOOL)
    ways = body.op("Add", unsqueeze(body, best, 2), transitions)
    origin = body.op("ArgMax", ways, axis=1, keepdims=0)
    emitted = body.op("Gather", scores, body.op("Add", step, body.constant(1)), axis=0)
    highest = body.op("ReduceMax", ways, axes=[1], keepdims=0)
    body.output(body.op("Add", highest, emitted), "forward_next", ["batch", TAGS], FLOAT)
    body.output(origin, "forward_origin", ["batch", TAGS], INT64)
    first = b.op("Gather", scores, b.constant(0), axis=0)
    last, origins = b.ops("Loop", steps, b.constant(True), first, outputs=2, name="viterbi_forward", body=body.graph())
    return last, origins


def _backwards(b: GraphBuilder, last: str, origins: str, steps: str) -> str:
    """The path backwards from the last tag [batch, 1], the last but one first: [steps, batch, 1]."""
    body = b.body("viterbi_backward")
    step = body.input("backward_step", [], INT64)
    going = body.input("backward_going", [], BOOL)
    tag = body.input("backward_tag", ["batch", 1], INT64)
    body.output(body.op("Identity", going), "backward_goes_on", [], BOOL)
    row = body.op("Sub", body.op("Sub", steps, body.constant(1)), step)
    before = body.op("GatherElements", body.op("Gather", origins, row, axis=0), tag, axis=1)
    body.output(body.op("Identity", before), "backward_tags", ["batch", 1], INT64)
    body.output(before, "backward_next", ["batch", 1], INT64)
    return b.ops("Loop", steps, b.constant(True), last, outputs=2, name="viterbi_backward", body=body.graph())[1]


def _decoder(b: GraphBuilder, scores: str, transitions: str, length: str) -> onnx.GraphProto:
    """The branch for two tokens and more: tags [sequence, batch]."""
    body = b.body("decode_path")
    steps = body.op("Sub", length, body.constant(1))
    best, origins = _forwards(body, scores, transitions, steps)
    last = body.op("ArgMax", best, axis=1, keepdims=1)
    path = _backwards(body, last, origins, steps)
    whole = body.op("Concat", unsqueeze(body, last, 0), path, axis=0)
    forwards = body.op("Slice", whole, *(body.constant([v]) for v in (-1, np.iinfo(np.int64).min + 1, 0, -1)))
    body.output(body.op("Squeeze", forwards, body.constant([2])), "path_tags", ["sequence", "batch"], INT64)
    return body.graph()


def lstm_tagger(seed: int = 0) -> onnx.ModelProto:
    """tokens [batch, sequence] -> scores [batch, sequence, 5] and tags [batch, sequence]."""
    b = GraphBuilder("lstm_tagger", opset=16, seed=seed)
    tokens = b.input("tokens", ["batch", "sequence"], INT64, below=VOCABULARY)
    table = b.weight("embedding.weight", normal(b, (VOCABULARY, EMBEDDING)))
    x = b.op("Transpose", b.op("Gather", table, tokens, name="embedding"), perm=[1, 0, 2])
    x = _lstm(b, x, EMBEDDING, "lstm.0")
    x = b.ops("Dropout", x, b.constant(0.3), b.constant(False), outputs=2, name="dropout")[0]
    x = _lstm(b, x, 2 * HIDDEN, "lstm.1")
    scores = dense(b, x, 2 * HIDDEN, TAGS, name="emissions")
    transitions = b.weight("transitions", normal(b, (TAGS, TAGS), 0.5))
    length = dimension(b, tokens, 1)
    single = b.body("decode_single")
    single.output(single.op("ArgMax", scores, axis=2, keepdims=0), "single_tags", ["sequence", "batch"], INT64)
    tags = b.op(
        "If", b.op("Greater", length, b.constant(1)), name="decode",
        then_branch=_decoder(b, scores, transitions, length), else_branch=single.graph(),
    )  # fmt: skip
    b.output(b.op("Transpose", scores, perm=[1, 0, 2]), "scores", ["batch", "sequence", TAGS])
    b.output(b.op("Transpose", tags, perm=[1, 0]), "tags", ["batch", "sequence"], INT64)
    return b.model(__doc__ or "")


