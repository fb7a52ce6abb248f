"""Damages models at random and reads, infers, optimizes and writes them; run as a program, because it may crash.

    python damage.py FIRST_SEED COUNT
    python damage.py attributes

The second form gives every attribute of every operator values of other types. Prints one line for everything that went
wrong otherwise than by a PlanishError about the model.
"""

from __future__ import annotations

import random
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import Message
from onnx import AttributeProto, ModelProto, helper
from onnx.backend.test.case.node import collect_testcases

from planish.compiler.errors import PassError, PlanishError
from planish.compiler.reading import load
from planish.models import build
from planish.runtime.optimize import optimize

MEMORY, SECONDS = 1 << 30, 20


def originals() -> list[bytes]:
    """Small models of every operator, and some with bodies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case.model for case in collect_testcases(None)]
    small = [m.SerializeToString() for m in cases if m.ByteSize() < 6000]
    return small + [build(name).SerializeToString() for name in ("lstm_tagger", "quantized_cnn", "unet")]


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips, overwrites, removes or repeats some bytes, or cuts the end off."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not result:
            break
        at = rng.randrange(len(result))
        kind = rng.randrange(6)
        if kind == 0:
            result[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            result[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del result[at : at + rng.randrange(1, 9)]
        elif kind == 3:
            result[at:at] = result[at : at + rng.randrange(1, 40)]
        elif kind == 4:
            result[at:at] = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
        else:
            del result[at:]
    return bytes(result)


NUMBERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 2**31 - 1, 2**31, 10**12, 2**62, 2**63 - 1)


def damage_fields(proto: Message, rng: random.Random) -> None:
    """Changes, drops, repeats or swaps fields somewhere in a message."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        message = proto
        while True:
            inner = [c for _, c in message.ListFields() if isinstance(c, Message)]
            for _, c in message.ListFields():
                if hasattr(c, "extend") and len(c) and isinstance(c[0], Message):
                    inner.append(c[rng.randrange(len(c))])
            if not inner or (message is not proto and rng.random() < 0.25):
                break
            message = rng.choice(inner)
        damage_message(message, rng)


def damage_message(message: Message, rng: random.Random) -> None:
    fields = message.ListFields()
    if not fields:
        return
    field, content = rng.choice(fields)
    name = field.name
    if hasattr(content, "extend"):
        kind = rng.randrange(4)
        if kind == 0 or not len(content):
            message.ClearField(name)
        elif kind == 1:
            del content[rng.randrange(len(content))]
        elif kind == 2:
            content.extend([content[rng.randrange(len(content))]])
        elif isinstance(content[0], Message):
            content[rng.randrange(len(content))].Clear()
        else:
            at = rng.randrange(len(content))
            content[at] = other_than(content[at], rng, list(content))
    elif isinstance(content, Message) or rng.random() < 0.2:
        message.ClearField(name)
    else:
        try:
            setattr(message, name, other_than(content, rng, []))
        except ValueError:
            message.ClearField(name)


def other_than(value: object, rng: random.Random, near: list[object]) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        number = rng.choice((*NUMBERS, value + 1, value - 1, -value))
        return min(max(number, -(2**31)), 2**31 - 1) if rng.random() < 0.3 else number
    if isinstance(value, float):
        return rng.choice((0.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e30, 1e-30))
    if isinstance(value, bytes):
        return rng.choice((b"", b"\xff\xfe", value + b"\x00", value[:-1]))
    assert isinstance(value, str)
    return rng.choice(("", "x", "y", "ai.onnx", value + "_", "Relu", "Add", "Concat", "If", "Constant", *near))


def damaged(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return damage_bytes(data, rng)
    proto = ModelProto.FromString(data)
    for _ in range(20):
        try:
            damage_fields(proto, rng)
            return proto.SerializeToString()
        except (ValueError, TypeError, OverflowError):
            continue
    return proto.SerializeToString()


def with_other_attributes(models: list[bytes]) -> Iterator[bytes]:
    """Models with one attribute of another type than its own; each attribute of an operator once with each type."""
    seen = set()
    for data in models:
        proto = onnx.shape_inference.infer_shapes(ModelProto.FromString(data))
        for node in proto.graph.node:
            for attribute in node.attribute:
                own = AttributeProto()
                own.CopyFrom(attribute)
                for value in (1.5, 3, "a", [1, 2], [1.5], ["a"]):
                    case = (node.op_type, attribute.name, repr(value))
                    if case not in seen:
                        seen.add(case)
                        attribute.CopyFrom(helper.make_attribute(own.name, value))
                        yield proto.SerializeToString()
                attribute.CopyFrom(own)


def survives(path: Path) -> str:
    """What went wrong, "" if nothing did."""
    signal.alarm(SECONDS)
    try:
        result = optimize(path, verify="off")
        result.save(path.with_name("out.onnx"))
        load(path.with_name("out.onnx"))
    except PlanishError as error:
        if isinstance(error, PassError):
            return f"{error} ({type(error.__cause__).__name__})"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:100]} at {Path(frame.filename).name}:{frame.lineno}"
    finally:
        signal.alarm(0)
    return ""


def cases(models: list[bytes], arguments: list[str]) -> Iterator[tuple[int, bytes]]:
    """Damaged models with their numbers."""
    if arguments == ["attributes"]:
        yield from enumerate(with_other_attributes(models))
        return
    first, count = map(int, arguments)
    for seed in range(first, first + count):
        rng = random.Random(seed)
        yield seed, damaged(rng.choice(models), rng)


def main(arguments: list[str]) -> None:
    models = originals()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError("too slow")))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for number, data in cases(models, arguments):
            path.write_bytes(data)
            if wrong := survives(path):
                print(number, wrong, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
