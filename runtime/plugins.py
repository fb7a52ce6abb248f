"""Passes of third parties: from Python files, and from installed packages that announce them.

A file defines subclasses of `Pass` (or `RewritePass`), or functions over graphsurgeon graphs under
`@graphsurgeon_pass("name")`. A package announces the same objects in its metadata:

    [project.entry-points."planish.passes"]
    drop-debug-nodes = "my_package.passes:DropDebugNodes"
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..compiler.errors import OptionError
from ..compiler.graph_pass import Pass, check_name
from ..passes import PASSES, PIPELINES
from .options import Plugin

GROUP = "planish.passes"


def registry_with(plugins: Sequence[Plugin] = ()) -> dict[str, type[Pass]]:
    """Every pass by name: the built-in ones, the installed ones, and those of `plugins`.

    Raises:
        OptionError: a plugin cannot be loaded, is no pass, or takes a name that is taken.
    """
    registry = dict(PASSES)
    origins = dict.fromkeys(registry, "planish")
    for point in _entry_points(tuple(sys.path)):
        _add(registry, origins, [_from_entry_point(point)], f"entry point {point.value}")
    for plugin in plugins:
        _add(registry, origins, passes_of(plugin), _describe(plugin))
    return registry


@functools.cache
def _entry_points(path: tuple[str, ...]) -> tuple[importlib.metadata.EntryPoint, ...]:
    """What the packages on this search path announce; looking through them all takes milliseconds."""
    return tuple(sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: point.name))


def passes_of(plugin: Plugin) -> list[type[Pass]]:
    """The passes that a plugin brings, in the order of their definition."""
    if isinstance(plugin, str | os.PathLike):
        return _from_file(Path(plugin))
    return [plugin]


def _add(registry: dict[str, type[Pass]], origins: dict[str, str], kinds: Iterable[Any], origin: str) -> None:
    for kind in kinds:
        problem = _problem(kind)
        if problem:
            raise OptionError(f"{origin}: {problem}", hint="a pass is a frozen dataclass that subclasses planish.Pass")
        check_name(kind.name)
        if kind.name in PIPELINES:
            raise OptionError(f"{origin}: '{kind.name}' is the name of a pipeline")
        if kind.name in registry and registry[kind.name] is not kind:
            raise OptionError(f"{origin}: pass '{kind.name}' exists already, from {origins[kind.name]}")
        registry[kind.name], origins[kind.name] = kind, origin


def _problem(kind: Any) -> str:
    """Why an object cannot be a pass; "" if it can."""
    if not isinstance(kind, type) or not issubclass(kind, Pass):
        return f"{kind!r} is no pass"
    if not isinstance(getattr(kind, "name", None), str):
        return f"the pass {kind.__name__} has no name"
    if not dataclasses.is_dataclass(kind) or "__dataclass_params__" not in vars(kind):
        return f"the pass {kind.__name__} is no dataclass"
    if inspect.isabstract(kind):
        return f"the pass {kind.__name__} does not define {', '.join(sorted(kind.__abstractmethods__))}"
    without = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]
    return f"the options {without} of pass {kind.__name__} have no default" if without else ""


def _from_entry_point(point: importlib.metadata.EntryPoint) -> Any:
    try:
        kind = point.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise OptionError(f"the pass '{point.name}' of {point.value} cannot be loaded: {reason}") from error
    if getattr(kind, "name", point.name) != point.name:
        raise OptionError(f"entry point '{point.name}' announces a pass that is called '{kind.name}'")
    return kind


def _from_file(path: Path) -> list[type[Pass]]:
    module = _load(path)
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Pass)]
    found = [kind for kind in kinds if kind.__module__ == module.__name__ and "name" in vars(kind)]
    if not found:
        raise OptionError(
            f"plugin '{path}' defines no pass", hint="define a subclass of planish.Pass that has a name"
        )
    return list(dict.fromkeys(found))


def _load(path: Path) -> ModuleType:
    """Run a file as a module; once for the same file, so that its classes stay the same."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OptionError(f"plugin '{path}' cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(str(path.resolve()).encode() + content).hexdigest()[:12]
    name = f"planish_plugin_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise OptionError(f"plugin '{path}' is no Python file", hint="its name must end in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        reason = f"{type(error).__name__}: {error}"
        raise OptionError(f"the plugin fails: {reason}", where=_line_of(error, path)) from error
    return module


def _line_of(error: Exception, path: Path) -> str:
    """ "FILE:LINE" of the innermost line of the plugin in a traceback."""
    trace, line = error.__traceback__, getattr(error, "lineno", 0) or 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{path}:{line}"


def _describe(plugin: Plugin) -> str:
    return f"plugin '{plugin}'" if isinstance(plugin, str | os.PathLike) else f"plugin {plugin!r}"
