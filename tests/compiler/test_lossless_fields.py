"""One small model for each field and kind of content that an ONNX file can have; all survive being read and written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, TypeProto, helper
from onnx.numpy_helper import from_array
from survival import assert_survives, parsed

MODELS: dict[str, Callable[[], ModelProto]] = {}


def example(function: Callable[[], ModelProto]) -> Callable[[], ModelProto]:
    MODELS[function.__name__] = function
    return function


def relu() -> ModelProto:
    return parsed("g (float[2] x) => (float[2] y) { y = Relu(x) }")


@example
def what_the_model_says_of_itself() -> ModelProto:
    model = relu()
    model.producer_name, model.producer_version, model.domain = "exporter", "1.2.3", "org.example"
    model.model_version, model.doc_string = -3, "two\nlines and ünicode"
    model.metadata_props.add(key="author", value="")
    model.metadata_props.add(key="author", value="twice")
    model.graph.metadata_props.add(key="scope", value="graph")
    model.graph.doc_string = ""
    return model


@example
def what_nodes_and_values_say_of_themselves() -> ModelProto:
    model = relu()
    node = model.graph.node[0]
    node.name, node.doc_string = "relu", "made by hand"
    node.metadata_props.add(key="namespace", value="a/b/c")
    node.attribute.append(helper.make_attribute("custom", [1.0, float("nan")], doc_string="of an attribute"))
    for info in (model.graph.input[0], model.graph.output[0]):
        info.doc_string = f"this is {info.name}"
        info.metadata_props.add(key="unit", value="m/s")
        info.type.denotation = "TENSOR"
        info.type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    return model


@example
def imports_in_odd_spellings() -> ModelProto:
    model = relu()
    del model.opset_import[:]
    for domain, version in (("com.example", 3), ("ai.onnx", 21), ("ai.onnx.ml", 3), ("com.example", 3), ("unused", 1)):
        model.opset_import.add(domain=domain, version=version)
    return model


@example
def imports_that_differ() -> ModelProto:
    return parsed('<ir_version: 8, opset_import: ["" : 13, "ai.onnx" : 12]> g (float[2] x) => (y) { y = Relu(x) }')


@example
def a_node_domain_spelled_out() -> ModelProto:
    model = relu()
    model.graph.node[0].domain = "ai.onnx"
    return model


@example
def no_default_domain() -> ModelProto:
    return parsed(
        '<ir_version: 8, opset_import: ["ai.onnx.ml" : 3]> g (float[1,2] x) => (float[1,2] y) '
        "{ y = ai.onnx.ml.Scaler <offset = [0.0], scale = [2.0]> (x) }"
    )


@example
def default_operators_without_an_import() -> ModelProto:
    return parsed('<ir_version: 8, opset_import: ["com.example" : 1]> g (float[2] x) => (float[2] y) { y = Relu(x) }')


@example
def unknown_domains() -> ModelProto:
    model = parsed(
        '<ir_version: 8, opset_import: ["" : 17, "com.example" : 1]> g (x) => (y, z) '
        '{ y, , z = com.example.Magic <a = 1, b = [1.5], c = "text", d = ["x", "y"]> (x, , x) }'
    )
    model.graph.node[0].input.append("")
    return model


@example
def ir_version_3_lists_weights_as_inputs() -> ModelProto:
    return parsed(
        '<ir_version: 3, opset_import: ["" : 7]> g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> '
        "{ y = Add(x, w) }"
    )


@example
def ir_version_1_imports_nothing() -> ModelProto:
    model = relu()
    del model.opset_import[:]
    model.ir_version = 1
    return model


@example
def no_ir_version() -> ModelProto:
    model = relu()
    model.ClearField("ir_version")
    return model


@example
def overridable_initializers() -> ModelProto:
    return parsed("g (float[2] x, float[N] w) => (float[2] y) <float[2] w = {1, 2}, float[2] v = {3, 4}> "
                  "{ a = Add(x, w)  y = Add(a, v) }")  # fmt: skip


@example
def nothing_at_all() -> ModelProto:
    return parsed("empty () => () { }")


@example
def a_graph_that_was_never_filled() -> ModelProto:
    model = ModelProto()
    model.graph.SetInParent()
    return model


@example
def outputs_without_nodes() -> ModelProto:
    return parsed("g (float[2] x) => (float[2] x, float[2] w, float[2] x) <float[2] w = {1, 2}> { }")


@example
def one_output_listed_twice_with_different_types() -> ModelProto:
    return parsed("g (float[2] x) => (float[2] y, float[N] y, z) { y = Relu(x)  z = Neg(x) }")


@example
def value_info_in_its_own_order() -> ModelProto:
    model = parsed("""g (float[B,2] x) => (y) <float[B,2] b, float[?,2] a, float[7] nobody> {
        a = Relu(x)  b = Neg(a)  y = Abs(b)
    }""")
    model.graph.value_info.append(model.graph.value_info[0])
    model.graph.value_info.append(model.graph.input[0])
    model.graph.value_info.add(name="y")
    return model


@example
def dimensions_of_every_kind() -> ModelProto:
    model = parsed("g (float[N, ?, 3, batch_size] x) => (y) { y = Relu(x) }")
    for text in ("batch-size", "N*2 + 1", "N//0", "?", "?1", "-1", "3", "", " ", "((((", "ü", "a" * 1000):
        model.graph.input[0].type.tensor_type.shape.dim.add(dim_param=text)
    model.graph.input[0].type.tensor_type.shape.dim.add(dim_value=-1)
    model.graph.input[0].type.tensor_type.shape.dim.add(dim_value=0)
    return model


@example
def types_of_every_kind() -> ModelProto:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, ["N"])
    sequence = helper.make_sequence_type_proto(tensor)
    opaque = TypeProto()
    opaque.opaque_type.domain, opaque.opaque_type.name = "com.example", "Handle"
    opaque.denotation = "OPAQUE"
    kinds = [
        tensor, sequence, helper.make_optional_type_proto(sequence), opaque, TypeProto(),
        helper.make_map_type_proto(TensorProto.STRING, sequence), helper.make_sequence_type_proto(sequence),
        helper.make_sparse_tensor_type_proto(TensorProto.DOUBLE, [3, "M"]), helper.make_tensor_type_proto(77, None),
    ]  # fmt: skip
    model = parsed('<ir_version: 10, opset_import: ["" : 21, "d" : 1]> g () => () { }')
    for number, kind in enumerate(kinds):
        model.graph.input.append(helper.make_value_info(f"x{number}", kind))
        model.graph.node.add(op_type="Op", domain="d", input=[f"x{number}"], output=[f"y{number}"])
        model.graph.value_info.append(helper.make_value_info(f"y{number}", kind))
        model.graph.output.append(helper.make_value_info(f"y{number}", kind))
    return model


def element_types() -> list[int]:
    return [number for name, number in TensorProto.DataType.items() if name not in ("UNDEFINED", "STRING")]


def tensor_of(dtype: int, raw: bool) -> TensorProto:
    array = np.array([0, 1, 1, 0, 1]).astype(helper.tensor_dtype_to_np_dtype(dtype))
    if raw:
        return from_array(array, f"raw{dtype}")
    return helper.make_tensor(f"typed{dtype}", dtype, [5], [0, 1, 1, 0, 1])


@example
def elements_of_every_type() -> ModelProto:
    model = parsed('<ir_version: 12, opset_import: ["" : 23]> g () => () { }')
    for dtype in element_types():
        for raw in (True, False):
            tensor = tensor_of(dtype, raw)
            model.graph.initializer.append(tensor)
            model.graph.node.append(helper.make_node("Constant", [], [f"c{tensor.name}"], value=tensor))
            model.graph.output.append(helper.make_value_info(tensor.name, helper.make_tensor_type_proto(dtype, [5])))
    return model


@example
def tensors_with_odd_fields() -> ModelProto:
    model = parsed("g () => () <float[0] empty = {}, float scalar = {3}, float[2,0,3] none = {}> { }")
    add = model.graph.initializer.add
    text = add(name="text", data_type=TensorProto.STRING, dims=[2, 1], string_data=[b"\xff\x00", "ü".encode()])
    text.doc_string = "of a tensor"
    text.metadata_props.add(key="k", value="v")
    part = add(name="part", data_type=TensorProto.FLOAT, dims=[10], float_data=[1, 2])
    part.segment.begin, part.segment.end = 0, 2
    add(name="of_tomorrow", data_type=77, dims=[3], raw_data=b"\x01\x02")
    add(name="nans", data_type=TensorProto.FLOAT, dims=[2], float_data=[float("nan"), -0.0])
    add(name="big", data_type=TensorProto.INT8, dims=[70_000], raw_data=bytes(range(100)) * 700)
    return model


@example
def sparse_initializers() -> ModelProto:
    model = parsed("g (float[2,3] x, float[2,3] s, float[6] t) => (float[2,3] y) { a = Add(x, s)  y = Add(a, u) }")
    for name, indices in (("u", [0, 4]), ("s", [[0, 1], [1, 2]])):
        values = from_array(np.array([5, 6], np.float32), name)
        sparse = helper.make_sparse_tensor(values, from_array(np.array(indices, np.int64), "positions"), [2, 3])
        model.graph.sparse_initializer.append(sparse)
    return model


@example
def quantization_annotations() -> ModelProto:
    model = parsed("g (float[2] x) => (float[2] y) <float scale = {2}, int8 zero = {0}> { a = Relu(x)  y = Neg(a) }")
    for name in ("y", "a", "x", "nobody", "a"):
        annotation = model.graph.quantization_annotation.add(tensor_name=name)
        for key, value in (("SCALE_TENSOR", "scale"), ("ZERO_POINT_TENSOR", "zero")):
            annotation.quant_parameter_tensor_names.add(key=key, value=value)
    return model


@example
def attributes_of_every_type() -> ModelProto:
    model = parsed('<ir_version: 10, opset_import: ["" : 21, "d" : 1]> g (x) => (y) { y = d.Op(x) }')
    tensor = from_array(np.array([1.5], np.float32), "t")
    sparse = helper.make_sparse_tensor(tensor, from_array(np.array([2], np.int64), "i"), [4])
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, ["N"])
    values = [1, 1.5, "text", b"\xff", tensor, sparse, kind, [1, 2], [1.5, 2.5], ["a", "b"], [tensor], [sparse], [kind]]
    attributes = [helper.make_attribute(f"a{number}", value) for number, value in enumerate(values)]
    for kind_of_list in ("INTS", "FLOATS", "STRINGS", "TENSORS", "GRAPHS"):
        attributes.append(AttributeProto(name=f"no_{kind_of_list}", type=kind_of_list))
    model.graph.node[0].attribute.extend(attributes)
    return model


@example
def lists_of_graphs() -> ModelProto:
    model = parsed('<ir_version: 10, opset_import: ["" : 21, "d" : 1]> g (x) => (y) { a = Relu(x)  y = d.Op(x) }')
    first, last = body("g (float[2] i) => (float[2] o) { o = Add(i, a) }"), body("h () => (p) { p = Neg(x) }")
    bodies = [first, GraphProto(), last]
    model.graph.node[1].attribute.append(helper.make_attribute("bodies", bodies))
    model.graph.node[1].attribute.append(helper.make_attribute("after", 3))
    return model


def body(text: str) -> GraphProto:
    return parsed(text).graph


@example
def bodies_with_everything() -> ModelProto:
    model = parsed("""g (float[2] x, bool c, int64 n) => (float[2] y, float[K,2] z) {
        y = If (c) <then_branch = t () => (float[2] o) <float[2] w = {1, 2}, float[2] m> { m = Add(x, w)  o = Neg(m) },
                    else_branch = e () => (float[2] o) { m = Relu(x)  o = Identity(m) }>
        s, z = Loop (n, , y) <body = b (int64 i, bool go, float[2] v) => (bool go, float[2] v2, float[2] r) {
            v2 = Add(v, x)
            r = If (c) <then_branch = t () => (float[2] q) { q = Add(v2, y) },
                        else_branch = e () => (float[2] q) { q = Neg(v) }>
        }>
    }""")
    branch = model.graph.node[0].attribute[0]
    branch.doc_string = "taken"
    branch.g.doc_string = "inside"
    branch.g.metadata_props.add(key="k", value="v")
    branch.g.quantization_annotation.add(tensor_name="m")
    return model


@example
def functions_with_everything() -> ModelProto:
    model = parsed("""<ir_version: 10, opset_import: ["" : 21, "f" : 1]>
    g (float[2] x) => (float[2] y) { a = f.outer <alpha = 0.5> (x)  y = f.inner : special (a) }
    <domain: "f", opset_import: ["ai.onnx" : 21, "f" : 1, "unused" : 2]>
    outer <alpha, beta: float = 2.5, gamma> (x) => (y, x) {
        b = LeakyRelu <alpha: float = @alpha> (x)
        y = f.inner : special (b)
    }
    <domain: "f", overload: "special", opset_import: ["" : 21]>
    inner (x) => (y) <float[2] z> { z = Neg(x)  y = Abs(z) }
    """)
    function = model.functions[0]
    function.doc_string = "of a function"
    function.metadata_props.add(key="k", value="v")
    function.value_info.append(helper.make_tensor_value_info("nobody", TensorProto.FLOAT, ["N"]))
    function.value_info.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, None))
    return model


@example
def a_body_that_the_caller_of_a_function_gives() -> ModelProto:
    return parsed("""<ir_version: 10, opset_import: ["" : 21, "f" : 1]>
    g (float[2] x, bool c) => (float[2] y) {
        k = Relu(x)
        y = f.choose <branch = b () => (float[2] o) { o = Neg(k) }> (c, x)
    }
    <domain: "f", opset_import: ["" : 21]>
    choose <branch> (c, x) => (y) {
        y = If (c) <then_branch: graph = @branch, else_branch = e () => (o) { o = Relu(x) }>
    }
    """)


@example
def training_information() -> ModelProto:
    model = parsed("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Mul(x, w) }")
    training = model.training_info.add()
    training.initialization.CopyFrom(body("i () => (float[2] w0) { w0 = RandomNormal <shape = [2]> () }"))
    training.algorithm.CopyFrom(body("a (float[2] g) => (float[2] w1) { w1 = Sub(w, g) }"))
    training.initialization_binding.add(key="w", value="w0")
    training.update_binding.add(key="w", value="w1")
    return model


@example
def devices() -> ModelProto:
    model = relu()
    model.configuration.add(name="pair", num_devices=2, device=["a", "b"])
    placed = model.graph.node[0].device_configurations.add(configuration_id="pair", pipeline_stage=1)
    spec = placed.sharding_spec.add(tensor_name="x", device=[0, 1])
    spec.sharded_dim.add(axis=0).simple_sharding.add(dim_value=2, num_shards=2)
    return model


@example
def one_name_in_several_graphs() -> ModelProto:
    return parsed("""g (float[2] x, bool c) => (float[2] y, float[2] m) {
        y = If (c) <then_branch = t () => (float[2] o) <float[2] x = {5, 6}> { m = Neg(x)  o = Relu(m) },
                    else_branch = e () => (float[2] o) { m = Relu(x)  o = Neg(m) }>
        m = Abs(x)
    }""")


# A field that no version of ONNX has yet, in each of protobuf's wire formats, groups included.
OF_TOMORROW = [(0, b"\x85\x01"), (2, b"\x03abc"), (1, b"12345678"), (5, b"1234"), (3, b"\x08\x01"), (4, b"")]


def tag(wire: int) -> bytes:
    key = 1900 << 3 | wire
    return bytes([key & 0x7F | 0x80, key >> 7])


@example
def fields_of_a_later_onnx() -> ModelProto:
    model = functions_with_everything()
    graph = model.graph
    graph.initializer.append(from_array(np.arange(20_000, dtype=np.float32), "w"))
    messages = [model, graph, graph.node[0], graph.node[0].attribute[0], graph.initializer[0], graph.input[0],
                model.functions[0], model.functions[0].node[0], graph.input[0].type]  # fmt: skip
    for message in messages:
        message.MergeFromString(b"".join(tag(wire) + content for wire, content in OF_TOMORROW))
    return model


@pytest.mark.parametrize("name", sorted(MODELS))
def test_survives(name: str, tmp_path: Path) -> None:
    assert_survives(MODELS[name](), tmp_path)
