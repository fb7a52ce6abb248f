"""The one way in which a pass declines."""

from __future__ import annotations


class Refusal(Exception):
    """Raised while a rewrite is being planned: nothing has changed yet, and the reason becomes a remark.

    The text is for a person and stable: it says what stands in the way, e.g. "conv output has other readers".
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
