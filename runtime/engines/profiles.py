"""Optimization profiles: between which sizes of its inputs an engine works, and for which it is tuned."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...compiler.errors import OptionError

Sizes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # smallest, the one tuned for, largest

_SIZE = r"\[?\d+(?:\s*[x,]\s*\d+)*\]?"
_INPUT = re.compile(rf"\s*(?P<name>.+?)\s*=\s*(?P<sizes>(?:{_SIZE}|\[\])(?::(?:{_SIZE}|\[\])){{0,2}})\s*")
_FORM = "write it as x=1x3x224x224:8x3x224x224:32x3x224x224, several inputs with ; between"


class Profile(dict[str, Sizes]):
    """Sizes by input name; of an input that holds a shape, its values."""

    def text(self) -> str:
        """As on the command line."""
        return ";".join(
            f"{name}={':'.join('x'.join(map(str, size)) or '[]' for size in sizes)}" for name, sizes in self.items()
        )


def parse_profile(text: str) -> Profile:
    """A profile from "x=1x3x224x224:8x3x224x224:32x3x224x224;mask=1x128"; one size stands for all three.

    Raises:
        OptionError: the text is none, or a size is larger than the one after it.
    """
    profile = Profile()
    for part in text.split(";"):
        match = _INPUT.fullmatch(part)
        if match is None:
            raise OptionError(f"'{part}' is no profile", hint=_FORM)
        sizes = [tuple(int(n) for n in re.findall(r"\d+", size)) for size in match["sizes"].split(":")]
        if len(sizes) == 2:
            raise OptionError(f"'{part}' has two sizes", hint="give one, or the smallest, the usual and the largest")
        lowest, usual, highest = sizes * 3 if len(sizes) == 1 else sizes
        if len({len(lowest), len(usual), len(highest)}) != 1:
            raise OptionError(f"'{part}': the three sizes have different numbers of dimensions")
        if not all(low <= mid <= high for low, mid, high in zip(lowest, usual, highest)):
            raise OptionError(f"'{part}': smallest, usual and largest size are not in this order")
        if match["name"] in profile:
            raise OptionError(f"'{match['name']}' stands twice in one profile")
        profile[match["name"]] = (lowest, usual, highest)
    return profile


def check_profiles(profiles: Sequence[Profile], inputs: Mapping[str, tuple[tuple[int, ...], bool]]) -> None:
    """Compare profiles with the network's inputs: name -> (shape with -1 for what is open, whether it holds a shape).

    Raises:
        OptionError: an unknown input, an open dimension without sizes, or sizes that the input does not have.
    """
    for name, (shape, holds_shape) in inputs.items():
        for profile in profiles or [Profile()]:
            if name in profile:
                _check_sizes(name, shape, holds_shape, profile[name])
            elif -1 in shape or holds_shape:
                shown = "x".join("?" if n < 0 else str(n) for n in shape) or "a number"
                raise OptionError(
                    f"input {name} ({shown}) has sizes that the model leaves open",
                    hint=f"give the smallest, usual and largest: --profile '{_example(name, shape)}'",
                )
    for profile in profiles:
        for name in profile:
            if name not in inputs:
                raise OptionError(f"the model has no input '{name}'", hint=f"its inputs: {', '.join(inputs)}")


def _check_sizes(name: str, shape: tuple[int, ...], holds_shape: bool, sizes: Sizes) -> None:
    if holds_shape:
        return  # the library compares the number of values
    for size in sizes:
        if len(size) != len(shape):
            raise OptionError(f"the profile of {name} has {len(size)} dimensions, the input has {len(shape)}")
        if any(said not in (-1, asked) for said, asked in zip(shape, size)):
            said = "x".join("?" if n < 0 else str(n) for n in shape)
            raise OptionError(f"the profile of {name} asks for {'x'.join(map(str, size))}, the model says {said}")


def _example(name: str, shape: tuple[int, ...]) -> str:
    sizes = ("x".join(str(number if n < 0 else n) for n in shape) or str(number) for number in (1, 4, 16))
    return f"{name}={':'.join(sizes)}"
