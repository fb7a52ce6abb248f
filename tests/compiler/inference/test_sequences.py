"""Rules of sequences, optionals and strings."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from planish.compiler.inference import infer_model
from planish.compiler.reading import load

OPS = frozenset({
    "SequenceConstruct", "SequenceAt", "SequenceLength", "SequenceInsert", "SequenceErase", "SequenceEmpty",
    "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement", "StringConcat",
    "StringNormalizer", "StringSplit", "RegexFullMatch", "TfIdfVectorizer",
})  # fmt: skip
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def test_claims_hold_for_the_backend_cases(check_backend):
    compared, found = check_backend(OPS)
    assert compared > 45
    assert not found, "\n".join(found[:20])


def value_of(nodes, inputs, initializers=()):
    infos = [helper.make_tensor_value_info(n, t, s) for n, (t, s) in inputs.items()]
    weights = [numpy_helper.from_array(np.array(a, np.int64), n) for n, a in initializers]
    outputs = [helper.make_empty_tensor_value_info(nodes[-1].output[0])]
    model = load(helper.make_model(
        helper.make_graph(nodes, "g", infos, outputs, weights), opset_imports=[helper.make_opsetid("", 18)]
    ))  # fmt: skip
    infer_model(model)
    return model.graph.outputs[0]


def texts(value):
    return None if value.shape is None else [str(d) for d in value.shape]


TWO = {"a": (FLOAT, ["N", 3]), "b": (FLOAT, ["M", 3])}
BUILD = helper.make_node("SequenceConstruct", ["a", "b"], ["s"])


def test_element_at_a_constant_position():
    value = value_of([BUILD, helper.make_node("SequenceAt", ["s", "p"], ["y"])], TWO, [("p", -1)])
    assert value.dtype == FLOAT and texts(value) == ["M", "3"]


def test_element_at_an_unknown_position_is_what_all_elements_have_in_common():
    inputs = {**TWO, "p": (INT64, [])}
    value = value_of([BUILD, helper.make_node("SequenceAt", ["s", "p"], ["y"])], inputs)
    assert value.dtype == FLOAT and texts(value)[1] == "3" and texts(value)[0] not in ("N", "M")


def test_element_of_inserted_and_erased_sequences():
    inputs = {**TWO, "c": (FLOAT, ["N", 3]), "p": (INT64, [])}
    nodes = [
        helper.make_node("SequenceConstruct", ["a"], ["s"]),
        helper.make_node("SequenceInsert", ["s", "c"], ["t"]),
        helper.make_node("SequenceErase", ["t", "p"], ["u"]),
        helper.make_node("SequenceAt", ["u", "p"], ["y"]),
    ]
    assert texts(value_of(nodes, inputs)) == ["N", "3"]


def test_concatenation_of_a_constructed_sequence():
    joined = value_of([BUILD, helper.make_node("ConcatFromSequence", ["s"], ["y"], axis=0)], TWO)
    assert texts(joined) == ["N + M", "3"] or texts(joined) == ["M + N", "3"]
    inputs = {"a": (FLOAT, ["N", 3]), "b": (FLOAT, ["N", 3])}
    stacked = value_of([BUILD, helper.make_node("ConcatFromSequence", ["s"], ["y"], axis=-1, new_axis=1)], inputs)
    assert texts(stacked) == ["N", "3", "2"]


def test_pieces_of_a_split():
    inputs = {"a": (FLOAT, ["N", 6]), "p": (INT64, [])}
    at = helper.make_node("SequenceAt", ["s", "p"], ["y"])
    assert texts(value_of([helper.make_node("SplitToSequence", ["a"], ["s"], axis=1), at], inputs)) == ["N", "1"]
    dropped = helper.make_node("SplitToSequence", ["a"], ["s"], axis=1, keepdims=0)
    assert texts(value_of([dropped, at], inputs)) == ["N"]
    given = helper.make_node("SplitToSequence", ["a", "k"], ["s"], axis=1, keepdims=0)
    value = value_of([given, at], inputs, [("k", [2, 4])])
    assert len(value.shape) == 2 and texts(value)[0] == "N" and texts(value)[1] != "6"


def test_an_empty_sequence_says_nothing_of_later_elements():
    inputs = {"a": (FLOAT, ["N", 3]), "p": (INT64, [])}
    nodes = [
        helper.make_node("SequenceEmpty", [], ["e"]),
        helper.make_node("SequenceInsert", ["e", "a"], ["s"]),
        helper.make_node("SequenceAt", ["s", "p"], ["y"]),
    ]
    assert texts(value_of(nodes, inputs)) == ["N", "3"]


def test_a_long_chain_of_insertions_is_given_up():
    nodes = [helper.make_node("SequenceEmpty", [], ["s0"])]
    nodes += [helper.make_node("SequenceInsert", [f"s{i}", "a"], [f"s{i + 1}"]) for i in range(200)]
    nodes.append(helper.make_node("SequenceAt", ["s200", "p"], ["y"]))
    value = value_of(nodes, {"a": (FLOAT, ["N", 3]), "p": (INT64, [])})
    assert value.dtype == 0 and value.shape is None


def test_optional_hands_on_its_tensor():
    nodes = [helper.make_node("Optional", ["a"], ["o"]), helper.make_node("OptionalGetElement", ["o"], ["y"])]
    value = value_of(nodes, {"a": (FLOAT, ["N", 3])})
    assert value.dtype == FLOAT and texts(value) == ["N", "3"]


def test_length_of_a_constructed_sequence():
    value = value_of([BUILD, helper.make_node("SequenceLength", ["s"], ["y"])], TWO)
    assert value.content == (2,) and value.shape == ()


def test_stop_words_leave_the_last_extent_open():
    inputs = {"a": (TensorProto.STRING, [4])}
    plain = value_of([helper.make_node("StringNormalizer", ["a"], ["y"])], inputs)
    assert plain.shape == (4,)
    stopped = value_of([helper.make_node("StringNormalizer", ["a"], ["y"], stopwords=["the"])], inputs)
    assert stopped.shape != (4,) and len(stopped.shape) == 1
