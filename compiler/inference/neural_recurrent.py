"""Recurrent cells and attention."""

from __future__ import annotations

from collections.abc import Sequence

from .. import symbolic
from ..graph import Node, Shape
from ..symbolic import Dim
from .axes import known, unknown_shape
from .facts import Facts, rule, unknown_dim


@rule("LSTM", "GRU", "RNN", "com.microsoft::DynamicQuantizeLSTM")
def recurrent(node: Node) -> Sequence[Facts]:
    """Y, Y_h and, for LSTM, Y_c; layout 1 (opset 14) puts the batch first."""
    dtype, x = known(node.input(0))
    directions = 2 if node.str_attr("direction", "forward") == "bidirectional" else 1
    hidden = _hidden_size(node)
    first, second = x[:2] if x is not None and len(x) == 3 else unknown_shape(node, 0, 5)[3:]
    y: Shape
    last: Shape
    if node.version >= 14 and not node.domain and node.int_attr("layout", 0):
        y, last = (first, second, directions, hidden), (first, directions, hidden)
    else:
        y, last = (first, directions, second, hidden), (directions, second, hidden)
    return (Facts(dtype, y), Facts(dtype, last), Facts(dtype, last))


def _hidden_size(node: Node) -> Dim:
    given = node.int_attr("hidden_size", 0)
    if given > 0:
        return given
    recurrence = known(node.input(2))[1]
    if recurrence is not None and len(recurrence) == 3 and not node.domain:
        return recurrence[2]
    return unknown_dim(node, 0, 5)


@rule("Attention")
def attention(node: Node) -> Sequence[Facts]:
    """Y, present_key, present_value and the scores, from 4-D (batch, heads, length, size) or packed 3-D inputs."""
    q_dtype, q = known(node.input(0))
    k_dtype, k = known(node.input(1))
    v_dtype, v = known(node.input(2))
    queries = _heads(q, node.int_attr("q_num_heads", 0))
    keys = _heads(k, node.int_attr("kv_num_heads", 0))
    values = _heads(v, node.int_attr("kv_num_heads", 0))
    result: Shape | None = None
    if queries is not None and q is not None:
        size = unknown_dim(node, 0, 3) if values is None else values[3]
        batch, heads, length, _ = queries
        result = (batch, heads, length, size) if len(q) == 4 else (batch, length, symbolic.mul(heads, size))
    facts = [Facts(q_dtype, result)]
    if len(node.outputs) > 1:
        total = _total_length(node, keys)
        facts.append(Facts(k_dtype, None if keys is None else (keys[0], keys[1], total, keys[3])))
        facts.append(Facts(v_dtype, None if values is None else (values[0], values[1], total, values[3])))
        facts.append(Facts(q_dtype, None if queries is None else (*queries[:3], total)))
    return facts


def _heads(shape: Shape | None, heads: int) -> Shape | None:
    """(batch, heads, length, size) of a query, key or value."""
    if shape is not None and len(shape) == 4:
        return shape
    if shape is None or len(shape) != 3 or heads < 1:
        return None
    return (shape[0], heads, shape[1], symbolic.floordiv(shape[2], heads))


def _total_length(node: Node, keys: Shape | None) -> Dim:
    past = node.input(4)
    if keys is not None and past is None:
        return keys[2]
    if keys is not None and past is not None and past.shape is not None and len(past.shape) == 4:
        return symbolic.add(keys[2], past.shape[2])
    return unknown_dim(node, 1, 2)


@rule("ai.onnx.preview::FlexAttention")
def flex_attention(node: Node) -> Sequence[Facts]:
    dtype, q = known(node.input(0))
    _, v = known(node.input(2))
    if q is None or v is None or len(q) != 4 or len(v) != 4:
        return (Facts(dtype),)
    return (Facts(dtype, (*q[:3], v[3])),)


@rule("LinearAttention")
def linear_attention(node: Node) -> Sequence[Facts]:
    """(B, T, H_q * d_v) and the state (B, H_kv, d_k, d_v)."""
    dtype, q = known(node.input(0))
    queries = _heads(q, node.int_attr("q_num_heads", 0))
    values = _heads(known(node.input(2))[1], node.int_attr("kv_num_heads", 0))
    state = known(node.input(3))[0]
    if queries is None or values is None or q is None or len(q) != 3:
        return (Facts(dtype), Facts(state))
    batch, heads, length, size = queries
    y = (batch, length, symbolic.mul(heads, values[3]))
    return (Facts(dtype, y), Facts(state, (batch, values[1], size, values[3])))


@rule("com.microsoft::MultiHeadAttention")
def contrib_multi_head_attention(node: Node) -> Sequence[Facts]:
    """Only the common form: query (batch, length, hidden), value (batch, length, hidden_v)."""
    dtype, q = known(node.input(0))
    _, v = known(node.input(2))
    if q is None or v is None or len(q) != 3 or len(v) != 3:
        return (Facts(dtype),)
    return (Facts(dtype, (*q[:2], v[2])),)


@rule("com.microsoft::GroupQueryAttention")
def contrib_group_query_attention(node: Node) -> Sequence[Facts]:
    """The output is like the query where query, key and value are not packed into one."""
    dtype, q = known(node.input(0))
    return (Facts(dtype, q if node.input(1) is not None else None),)
