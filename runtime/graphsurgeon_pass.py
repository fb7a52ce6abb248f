"""A function over a graphsurgeon graph stands in a pipeline as a pass."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import onnx_graphsurgeon as gs
from onnx import ModelProto, TensorProto, ValueInfoProto
from onnx_graphsurgeon.logger import G_LOGGER

from ..compiler.errors import ModelError, OptionError, PassError, UnsupportedModelError
from ..compiler.graph import Node
from ..compiler.graph_pass import Context, Effect, Pass, check_name
from ..compiler.inference import infer_model
from ..compiler.journal import Rewrite
from ..compiler.model import Model
from ..compiler.reading import load
from ..compiler.writing import to_proto
from .round_trip import carry_over

GraphFunction = Callable[..., gs.Graph | None]

G_LOGGER.severity = G_LOGGER.ERROR


def graphsurgeon_pass(name: str, *, effect: Effect = Effect.EXACT) -> Callable[[GraphFunction], type[Pass]]:
    """Make a pass of a function that edits a graphsurgeon graph in place or returns another.

        @planish.graphsurgeon_pass("drop-debug-nodes")
        def drop_debug_nodes(graph: gs.Graph, prefix: str = "debug/") -> None:
            ...

    Parameters after the graph are the pass's options; each needs a default. The function sees a copy with all weights
    in memory. What it leaves alone keeps what graphsurgeon does not know (metadata, doc strings, types, functions,
    tensors in other files); the names of the model's inputs and outputs must stay.
    """
    check_name(name)

    def make(function: GraphFunction) -> type[Pass]:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        for parameter in parameters:
            if not isinstance(parameter.default, bool | int | float | str):
                raise OptionError(f"pass {name}: option {parameter.name} needs a number, a bool or a text as default")
        fields = [(p.name, type(p.default), dataclasses.field(default=p.default)) for p in parameters]
        namespace = {
            "name": name, "effect": effect, "function": staticmethod(function),
            "__doc__": inspect.cleandoc(function.__doc__ or f"The function {function.__name__} over a gs.Graph."),
            "__module__": function.__module__,
        }  # fmt: skip
        title = "".join(word.capitalize() for word in name.split("-"))
        return dataclasses.make_dataclass(title, fields, bases=(_GraphsurgeonPass,), namespace=namespace, frozen=True)

    return make


@dataclasses.dataclass(frozen=True)
class _GraphsurgeonPass(Pass):
    function: ClassVar[GraphFunction]

    def run(self, context: Context, since: int) -> None:
        model = context.model
        if not context.fuel.allows(f"{self.name}@/graph", context.journal.count):
            return
        original = to_proto(model)
        graph = _import(original, model)
        before = gs.export_onnx(graph, do_type_check=False)
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        returned = type(self).function(graph, **options)
        graph = graph if returned is None else returned
        if not isinstance(graph, gs.Graph):
            raise PassError(f"pass {self.name} returned {type(graph).__name__}, not a gs.Graph", where=self.name)
        after = gs.export_onnx(graph, do_type_check=False)
        if before == after:
            return
        try:
            changed = load(carry_over(original, before, after), folder=model.folder)
        except ModelError as error:
            raise PassError(f"pass {self.name} left a broken graph: {error.what}", where=error.where) from error
        self._check_interface(model, changed)
        infer_model(changed)
        self._record(context, model, changed)
        context.replace_model(changed)

    def _check_interface(self, model: Model, changed: Model) -> None:
        for what, old, new in (
            ("inputs", [v.name for v in model.graph.inputs], [v.name for v in changed.graph.inputs]),
            ("outputs", model.output_names, changed.output_names),
        ):
            if old != new:
                raise PassError(
                    f"pass {self.name} made of the {what} {old} the {what} {new}", where=self.name,
                    hint="a pass keeps what callers count on; outputs are dropped with --outputs or --drop-output",
                )  # fmt: skip

    def _record(self, context: Context, model: Model, changed: Model) -> None:
        """Note what went, came and changed; nodes that are new say which went in their place."""
        old, new = {_key(n): n for n in model.graph}, {_key(n): n for n in changed.graph}
        removed = [node for key, node in old.items() if key not in new]
        added = [node for key, node in new.items() if key not in old]
        edited = [node for key, node in new.items() if key in old and _signature(node) != _signature(old[key])]
        for node in added + edited:
            node.origins = _origins(node, removed, old.get(_key(node)))
            node.rewritten_by, node.provenance_changed = self.name, True
        rewrite = Rewrite(
            context.journal.count, self.name, "graph", "", _labels(removed), _labels(added), _labels(edited)
        )
        context.journal.add_rewrite(rewrite)


def _import(original: ModelProto, model: Model) -> gs.Graph:
    """The graph, with tensors of other files read in and types left out that graphsurgeon cannot hold."""
    light = ModelProto()
    light.CopyFrom(original)
    tensors = {value.name: value.tensor for value in model.graph.initializers}
    for tensor in light.graph.initializer:
        source = tensors.get(tensor.name)
        if tensor.data_location == TensorProto.EXTERNAL and source is not None and source.external is not None:
            tensor.raw_data = bytes(source.external.view())
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
    _forget_types([*light.graph.input, *light.graph.output, *light.graph.value_info])
    try:
        return gs.import_onnx(light)
    except Exception as error:
        raise UnsupportedModelError(
            f"graphsurgeon cannot hold this model: {type(error).__name__}: {error}",
            hint="leave out the passes that are functions over a gs.Graph",
        ) from error


def _forget_types(infos: Iterable[ValueInfoProto]) -> None:
    for info in infos:
        if info.type.WhichOneof("value") not in ("tensor_type", None):
            info.ClearField("type")


def _key(node: Node) -> tuple[str, ...]:
    return tuple("" if value is None else value.name for value in node.outputs)


def _signature(node: Node) -> Any:
    inputs = [None if value is None else value.name for value in node.inputs]
    return node.op, inputs, None if node.proto is None else list(node.proto.attribute)


def _labels(nodes: Iterable[Node]) -> tuple[tuple[str, str], ...]:
    return tuple((node.op, node.label) for node in nodes if node.op != "Constant")


def _origins(node: Node, removed: list[Node], old: Node | None) -> tuple[str, ...]:
    """Source nodes that a node stands for: the one that it was, or those that went and shared a value with it."""
    if old is not None:
        return old.origins or (old.label,)
    mine = {value.name for value in [*node.inputs, *node.outputs] if value is not None}
    near = [r for r in removed if mine & {v.name for v in [*r.inputs, *r.outputs] if v is not None}]
    return tuple(dict.fromkeys(name for r in near for name in (r.origins or (r.label,))))
