"""A BERT encoder (Devlin et al. 2018), three small layers, as torch.onnx.export writes Hugging Face's at opset 14.

Batch and sequence are dynamic: every change of view keeps its Shape, Gather, Unsqueeze, Concat, Reshape chain.
LayerNorm and the erf Gelu are in small ops, query, key and value are three MatMul + Add on one input, and the
additive attention mask is made from an integer one.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from .graph_builder import FLOAT, INT64, GraphBuilder
from .layers import dense, dimension, gelu, gemm, layer_norm, normal, reshape, slice_, unsqueeze

VOCABULARY = 97
POSITIONS = 64
HIDDEN = 32
HEADS = 4
LAYERS = 3


def _embeddings(b: GraphBuilder, ids: str, types: str) -> str:
    sequence = unsqueeze(b, dimension(b, ids, 1), 0)
    positions = slice_(b, b.weight("position_ids", np.arange(POSITIONS)[None]), 0, sequence, 1)
    words = b.op("Gather", b.weight("word_embeddings.weight", normal(b, (VOCABULARY, HIDDEN))), ids)
    kinds = b.op("Gather", b.weight("token_type_embeddings.weight", normal(b, (2, HIDDEN), 0.3)), types)
    places = b.op("Gather", b.weight("position_embeddings.weight", normal(b, (POSITIONS, HIDDEN), 0.3)), positions)
    return layer_norm(b, b.op("Add", b.op("Add", words, kinds), places), HIDDEN, name="LayerNorm", epsilon=1e-12)


def _additive_mask(b: GraphBuilder, mask: str) -> str:
    wide = b.op("Cast", unsqueeze(b, unsqueeze(b, mask, 1), 2), to=FLOAT)
    return b.op("Mul", b.op("Sub", b.constant(1.0), wide), b.constant(-10000.0))


def _heads(b: GraphBuilder, x: str, perm: list[int]) -> str:
    split = reshape(b, x, dimension(b, x, 0), dimension(b, x, 1), HEADS, HIDDEN // HEADS)
    return b.op("Transpose", split, perm=perm)


def _attention(b: GraphBuilder, x: str, mask: str) -> str:
    query, key, value = (dense(b, x, HIDDEN, HIDDEN, name=f"self.{part}") for part in ("query", "key", "value"))
    scores = b.op("MatMul", _heads(b, query, [0, 2, 1, 3]), _heads(b, key, [0, 2, 3, 1]))
    scores = b.op("Add", b.op("Div", scores, b.constant(math.sqrt(HIDDEN // HEADS))), mask)
    context = b.op("MatMul", b.op("Softmax", scores, axis=3), _heads(b, value, [0, 2, 1, 3]))
    context = b.op("Transpose", context, perm=[0, 2, 1, 3])
    context = reshape(b, context, dimension(b, context, 0), dimension(b, context, 1), HIDDEN)
    out = b.op("Add", dense(b, context, HIDDEN, HIDDEN, name="output.dense"), x)
    return layer_norm(b, out, HIDDEN, name="output.LayerNorm", epsilon=1e-12)


def _feed_forward(b: GraphBuilder, x: str) -> str:
    inner = gelu(b, dense(b, x, HIDDEN, 4 * HIDDEN, name="intermediate.dense"))
    out = b.op("Add", dense(b, inner, 4 * HIDDEN, HIDDEN, name="output.dense"), x)
    return layer_norm(b, out, HIDDEN, name="output.LayerNorm", epsilon=1e-12)


def bert_block(seed: int = 0) -> onnx.ModelProto:
    """Token ids, mask and types, each [batch, sequence] -> hidden [batch, sequence, 32] and pooled [batch, 32]."""
    b = GraphBuilder("bert_block", opset=14, seed=seed)
    tokens = ["batch", "sequence"]
    ids = b.input("input_ids", tokens, INT64, below=VOCABULARY)
    mask = _additive_mask(b, b.input("attention_mask", tokens, INT64, below=2))
    with b.scope("embeddings"):
        x = _embeddings(b, ids, b.input("token_type_ids", tokens, INT64, below=2))
    for layer in range(LAYERS):
        with b.scope(f"encoder.layer.{layer}"):
            with b.scope("attention"):
                x = _attention(b, x, mask)
            x = _feed_forward(b, x)
    first = b.op("Gather", x, b.constant(0), axis=1)
    pooled = b.op("Tanh", gemm(b, first, HIDDEN, HIDDEN, name="pooler.dense"))
    b.output(x, "last_hidden_state", ["batch", "sequence", HIDDEN])
    b.output(pooled, "pooler_output", ["batch", HIDDEN])
    return b.model(__doc__ or "")
