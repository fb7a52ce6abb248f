"""Wrong rewrites, planted one by one: each is found, named and taken back, and everything else is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx.parser
import pytest
from onnx import ModelProto, TensorProto

import planish
from planish.compiler.errors import PassError, VerificationError
from planish.compiler.graph_pass import Context, Pass, RewritePass
from planish.compiler.pattern import Match, OpPattern, op
from planish.compiler.rewriter import Rewriter
from planish.runtime.result import Result

Rewrite = Callable[[Match, Rewriter], None]


def planted(ops: str, rewrite: Rewrite, where: Callable[[str], bool] = lambda label: True) -> type[Pass]:
    """A pass named "planted" that does `rewrite` to nodes of these operators whose label pleases `where`."""

    @dataclass(frozen=True)
    class Planted(RewritePass):
        name: ClassVar[str] = "planted"
        patterns: ClassVar[tuple[OpPattern, ...]] = (op(ops, where=lambda node: where(node.label)),)

        def rewrite(self, match: Match, rewriter: Rewriter) -> None:
            if match.root.rewritten_by == "planted":
                rewriter.refuse("")
            rewrite(match, rewriter)

    return Planted


def parsed(text: str, opset: int = 18) -> ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]>\n{text}')


def optimized(model: ModelProto, wrong: type[Pass], verify: str = "final") -> Result:
    return planish.optimize(model, plugins=[wrong], passes="planted,eliminate-no-ops", verify=verify)


def instead(op_type: str, *, inputs: tuple[int, ...] = (0,), **attributes: object) -> Rewrite:
    """Replace the node by one of another operator."""

    def rewrite(match: Match, rewriter: Rewriter) -> None:
        chosen = [match.root.inputs[i] for i in inputs]
        rewriter.replace(match.root.output, rewriter.op(op_type, chosen, **attributes))  # type: ignore[arg-type]

    return rewrite


def other_constant(change: Callable[[np.ndarray], np.ndarray], index: int = 1) -> Rewrite:
    """Give the node another constant."""

    def rewrite(match: Match, rewriter: Rewriter) -> None:
        inputs = list(match.root.inputs)
        value = inputs[index]
        assert value is not None and value.constant is not None
        inputs[index] = rewriter.constant(change(value.constant.numpy().copy()), "changed")
        rewriter.replace(match.root.output, rewriter.clone(match.root, inputs))

    return rewrite


def one_element(array: np.ndarray) -> np.ndarray:
    array[3] *= 1.01
    return array


@dataclass(frozen=True)
class Plant:
    """A wrong rewrite of some operators, and a model in which the node that it ruins makes `bad`."""

    ops: str
    rewrite: Rewrite
    text: str

    def planted(self) -> type[Pass]:
        return planted(self.ops, self.rewrite, lambda label: label in ("bad", "draw"))


def unary(op_type: str, kind: str = "float[N,4]") -> str:
    """A model of one operator among others."""
    return f"g ({kind} x) => ({kind} y) {{ i = Identity(x) bad = {op_type}(i) y = Exp(bad) }}"


def divided_by_magnitude(match: Match, rewriter: Rewriter) -> None:
    x = match.root.inputs[0]
    rewriter.replace(match.root.output, rewriter.op("Div", [x, rewriter.op("Abs", [x])]))


def always_true(match: Match, rewriter: Rewriter) -> None:
    zero = rewriter.constant(np.zeros((3, 4), np.float32), "zero")
    rewriter.replace(match.root.output, rewriter.op("IsInf", [rewriter.op("Reciprocal", [zero])]))


def reshaped(*shape: int) -> Rewrite:
    def rewrite(match: Match, rewriter: Rewriter) -> None:
        target = rewriter.ints(shape, "shape")
        rewriter.replace(match.root.output, rewriter.op("Reshape", [match.root.inputs[0], target]))

    return rewrite


def squeezed(match: Match, rewriter: Rewriter) -> None:
    narrow = rewriter.op("Squeeze", [match.root.inputs[0]])
    rewriter.replace(match.root.output, rewriter.op("Relu", [narrow]))


def unsqueezed(match: Match, rewriter: Rewriter) -> None:
    axes = rewriter.ints([0], "axes")
    rewriter.replace(match.root.output, rewriter.op("Unsqueeze", [match.root.inputs[0], axes]))


def exchanged(match: Match, rewriter: Rewriter) -> None:
    x = match.root.inputs[0]
    shape = rewriter.op("Gather", [rewriter.op("Shape", [x]), rewriter.ints([0, 2, 1], "order")])
    rewriter.replace(match.root.output, rewriter.op("Reshape", [x, shape]))


def shifted(match: Match, rewriter: Rewriter) -> None:
    bits = rewriter.op("Cast", [match.root.inputs[0]], to=TensorProto.UINT32)
    half = rewriter.op("BitShift", [bits, rewriter.constant(np.array(1, np.uint32), "one")], direction="RIGHT")
    rewriter.replace(match.root.output, rewriter.op("Cast", [half], to=TensorProto.INT32))


def undone(match: Match, rewriter: Rewriter) -> None:
    x = match.root.inputs[0]
    assert x is not None and x.producer is not None
    rewriter.replace(match.root.output, rewriter.op("Identity", [x.producer.inputs[0]]))


def beyond_the_end(match: Match, rewriter: Rewriter) -> None:
    place = rewriter.ints([99], "place")
    rewriter.replace(match.root.output, rewriter.op("Gather", [match.root.inputs[0], place]))


PLANTED: dict[str, Plant] = {
    "one element, by a hundredth": Plant("Mul", other_constant(one_element), """
        g (float[N,4] x) => (float[N,4] y) <float[4] c = {1, 2, 3, 4}> { i = Identity(x) bad = Mul(i, c) y = Exp(bad) }
    """),
    "a small bias is dropped": Plant("Add", instead("Identity"), """
        g (float[N,4] x) => (float[N,4] y) <float[4] c = {0.002, 0.002, 0.002, 0.002}> {
            i = Identity(x) bad = Add(i, c) y = Relu(bad)
        }"""),
    "numbers of a small channel beside a large one": Plant("Mul", other_constant(lambda a: a * 1.02), """
        g (float[N,1,4,8] x) => (float[N,2,4,8] y) <float large = {600}, float c = {0.9}> {
            i = Identity(x) box = Mul(i, large) bad = Mul(i, c) score = Sigmoid(bad) y = Concat<axis = 1>(box, score)
        }"""),
    "negative numbers": Plant("Abs", instead("Identity"), unary("Abs")),
    "positive numbers": Plant("Relu", instead("Neg"), unary("Relu")),
    "zeros": Plant("Sign", divided_by_magnitude, unary("Sign")),
    "NaN": Plant("Mul", instead("Sub", inputs=(1, 1)), """
        g (float[N,4] x) => (float[N,4] y) <float[4] zero = {0, 0, 0, 0}> {
            i = Identity(x) bad = Mul(i, zero) y = Exp(bad)
        }"""),
    "NaN in a comparison": Plant("Equal", always_true, """
        g (float[3,4] x) => (bool[3,4] y) { i = Identity(x) bad = Equal(i, x) y = Not(bad) }
    """),
    "the element type": Plant("Relu", instead("Cast", to=TensorProto.DOUBLE), """
        g (float[N,4] x) => (float[N,4] bad) { i = Identity(x) bad = Relu(i) }
    """),
    "the rank": Plant("Relu", unsqueezed, """
        g (float[N,4] x) => (float[A,B] bad) { i = Identity(x) t = Exp(i) bad = Relu(t) }
    """),
    "the shape, for the second size only": Plant("Reshape", reshaped(2, -1), """
        g (float[N,4,3] x) => (float[A,B] y) <int64[2] s = {0, -1}> { i = Identity(x) bad = Reshape(i, s) y = Exp(bad) }
    """),
    "extents of 1": Plant("Relu", squeezed, """
        g (float[N,4] x) => (float[A,B] y) { i = Identity(x) bad = Relu(i) y = Exp(bad) }
    """),
    "two unknown extents are exchanged": Plant("Relu", exchanged, """
        g (float[N,H,W] x) => (float[A,B,C] y) { i = Identity(x) bad = Relu(i) y = Exp(bad) }
    """),
    "the order of the operands": Plant("Sub", instead("Sub", inputs=(1, 0)), """
        g (float[N,4] x, float[N,4] z) => (float[N,4] y) { i = Identity(x) bad = Sub(i, z) y = Exp(bad) }
    """),
    "division of negative integers": Plant("Div", shifted, """
        g (int32[N,4] x) => (int32[N,4] y) <int32 two = {2}> { i = Identity(x) bad = Div(i, two) y = Abs(bad) }
    """),
    "overflow of integers": Plant("Div", undone, """
        g (int32[N,4] x) => (int32[N,4] y) <int32 two = {2}> {
            i = Identity(x) t = Mul(i, two) bad = Div(t, two) y = Abs(bad)
        }"""),
    "ties": Plant("ArgMax", instead("ArgMax", axis=1, keepdims=0, select_last_index=1), """
        g (float[N,4] x) => (int64[N] y) { i = Identity(x) bad = ArgMax<axis = 1, keepdims = 0>(i) y = Abs(bad) }
    """),
    "words": Plant("Concat", instead("Identity"), """
        g (string[N] x) => (string[M] bad) { i = Identity(x) bad = Concat<axis = 0>(i, x) }
    """),
    "a distribution": Plant("RandomNormalLike", instead("RandomNormalLike", name="draw", scale=2.0), """
        g (float[N,4] x) => (float[N,4] y) { i = Identity(x) [draw] bad = RandomNormalLike(i) y = Exp(bad) }
    """),
    "a body": Plant("Neg", instead("Identity"), """
        g (float[N,4] x, bool c) => (float[N,4] y) {
            i = Identity(x)
            y = If(c) <
                then_branch = t () => (float[N,4] o) { bad = Neg(i) o = Exp(bad) },
                else_branch = e () => (float[N,4] p) { p = Exp(i) }
            >
        }"""),
    "the body that one number chooses": Plant("Neg", instead("Identity"), """
        g (float[N,4] x, int64 rate) => (float[N,4] y) <int64 wanted = {16000}> {
            i = Identity(x)
            c = Equal(rate, wanted)
            y = If(c) <
                then_branch = t () => (float[N,4] o) { bad = Neg(i) o = Exp(bad) },
                else_branch = e () => (float[N,4] p) { p = Exp(i) }
            >
        }"""),
    "an operator that does not exist": Plant("Relu", instead("Releu"), unary("Relu")),
    "a node that fails when it runs": Plant("Relu", beyond_the_end, """
        g (float[N,4] x) => (float[A,B] y) { i = Identity(x) bad = Relu(i) y = Exp(bad) }
    """),
}  # fmt: skip


@pytest.mark.parametrize("verify", ["final", "each"])
@pytest.mark.parametrize("wrong", PLANTED)
def test_a_wrong_rewrite_is_named_and_taken_back(wrong: str, verify: str) -> None:
    plant = PLANTED[wrong]
    result = optimized(parsed(plant.text), plant.planted(), verify)
    assert [key.rpartition("/")[2] for key in result.held_back] in (["bad"], ["draw"])
    assert all(key.startswith("planted@") for key in result.held_back)
    assert result.parity is not None
    assert result.parity.status == "proven", result.parity.reason
    left = [node.op for node in result.model.nodes()]
    assert plant.ops in left, "the right node is back"
    assert "Identity" not in left, "the other rewrites are kept"
    missed = [remark for remark in result.remarks if remark.text.startswith("taken back: ")]
    assert len(missed) == 1


@pytest.mark.parametrize("wrong", PLANTED)
def test_without_the_comparison_it_stays(wrong: str) -> None:
    result = optimized(parsed(PLANTED[wrong].text), PLANTED[wrong].planted(), "off")
    assert result.parity is None
    assert not result.held_back
    assert any(rewrite.pass_name == "planted" for rewrite in result.journal.rewrites())


@pytest.mark.parametrize("verify", ["final", "each"])
def test_several_wrong_rewrites_are_taken_back_one_by_one(verify: str) -> None:
    text = "g (float[N,4] x) => (float[N,4] y0, float[N,4] y1, float[N,4] y2, float[N,4] y3) {" + "".join(
        f"n{i} = Neg(x) y{i} = Exp(n{i})" for i in range(4)
    ) + "}"  # fmt: skip

    def rewrite(match: Match, rewriter: Rewriter) -> None:
        wrong = match.root.label in ("n1", "n3")
        zero = rewriter.constant(np.array(1.0 if wrong else 0.0, np.float32), "zero")
        rewriter.replace(match.root.output, rewriter.op("Sub", [zero, match.root.inputs[0]]))

    result = optimized(parsed(text), planted("Neg", rewrite), verify)
    assert sorted(result.held_back) == ["planted@/n1", "planted@/n3"]
    assert [node.op for node in result.model.nodes()].count("Sub") == 2
    assert result.parity is not None and result.parity.status == "proven"


def test_a_pass_that_is_wrong_everywhere_is_held_back_as_a_whole() -> None:
    names = [f"y{i}" for i in range(12)]
    outputs = ", ".join(f"float[N,4] {name}" for name in names)
    body = "\n".join(f"n{name} = Neg(x) {name} = Exp(n{name})" for name in names)
    result = optimized(parsed(f"g (float[N,4] x) => ({outputs}) {{ {body} }}"), planted("Neg", instead("Abs")))
    assert list(result.held_back) == ["planted"]
    assert result.parity is not None and result.parity.status == "proven"


def test_negative_zero_is_zero() -> None:
    model = parsed("g (float[N,4] x) => (float[N,4] y) <float zero = {0}> { t = Add(x, zero) y = Identity(t) }")
    result = optimized(model, planted("Add", instead("Identity")))
    assert not result.held_back
    assert result.parity is not None and result.parity.status == "proven"


def test_a_pass_that_fails_says_where() -> None:
    def fail(match: Match, rewriter: Rewriter) -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(PassError, match="pass planted failed: ZeroDivisionError: by zero") as caught:
        optimized(parsed(PLANTED["negative numbers"].text), planted("Abs", fail))
    assert caught.value.where == "bad"


@dataclass(frozen=True)
class Tacit(Pass):
    """Edits behind the journal's back, so that there is no rewrite to take back."""

    name: ClassVar[str] = "planted"

    def run(self, context: Context, since: int) -> None:
        graph = context.model.graph
        graph.outputs[0].declared = graph.inputs[0].declared


def test_a_wrong_result_that_nothing_explains_is_an_error() -> None:
    model = parsed("g (float[N,4] x) => (float[N,4,1] y) <int64[1] a = {2}> { y = Unsqueeze(x, a) }")
    with pytest.raises(VerificationError, match="other names or types"):
        optimized(model, Tacit)


@dataclass(frozen=True)
class Tangle(Pass):
    """Breaks an invariant of the graph."""

    name: ClassVar[str] = "planted"

    def run(self, context: Context, since: int) -> None:
        node = context.model.graph.first
        assert node is not None
        node.inputs[0] = context.model.graph.last.output  # type: ignore[union-attr]


@pytest.mark.parametrize("verify", ["final", "each"])
def test_a_broken_graph_is_an_error(verify: str) -> None:
    with pytest.raises(PassError, match="broken invariants"):
        optimized(parsed("g (float[N,4] x) => (float[N,4] y) { t = Relu(x) y = Exp(t) }"), Tangle, verify)


def test_what_onnx_runtime_cannot_run_is_optimized_all_the_same() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18, "acme" : 1]>'
        "g (float[N,4] x) => (float[N,4] y) { i = Identity(x) t = acme.Secret(i) y = Relu(t) }"
    )
    result = planish.optimize(model)
    assert [node.op for node in result.model.nodes()] == ["acme::Secret", "Relu"]
    assert result.parity is not None
    assert result.parity.status == "not-run"
    assert "Secret" in result.parity.reason
    assert "not proven: ONNX Runtime cannot load the model" in str(result)
