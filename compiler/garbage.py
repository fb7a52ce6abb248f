"""Python's garbage collector while graphs are built."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """No garbage collection: what is built inside stays, and searching it again and again for garbage is in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()  # both together only say that everything is old, so that nothing is searched at once
                gc.unfreeze()
            gc.enable()
