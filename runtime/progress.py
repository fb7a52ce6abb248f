"""Shows on stderr what is being done, while it takes long enough to wonder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from .tables import console

Report = Callable[[str, float], None]


@contextlib.contextmanager
def reporting(wanted: bool | None) -> Iterator[Report]:
    """A function to call with the name of each step and the share of the work that is over.

    Args:
        wanted: True and False say so; None means only on a terminal. A terminal gets a bar, anything else a line per
            step.
    """
    out = console(stderr=True)
    if wanted is False or (wanted is None and not out.is_terminal):
        yield lambda step, share: None
    elif not out.is_terminal:
        started = time.perf_counter()

        def line(step: str, share: float) -> None:
            out.print(f"{time.perf_counter() - started:7.1f} s  {share:4.0%}  {step}")

        yield line
    else:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=out, transient=True) as progress:
            task = progress.add_task("", total=1.0)
            yield lambda step, share: progress.update(task, description=step, completed=share)
