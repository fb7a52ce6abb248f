"""What `optimize` hands back: the model and the account of how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx_graphsurgeon as gs
from onnx import ModelProto

from ..compiler.journal import Journal, Remark
from ..compiler.model import Model
from ..compiler.saving import save
from ..compiler.writing import to_proto
from .account import account
from .parity import ParityReport
from .statistics import Statistics
from .tables import summary_text


@dataclass(repr=False)
class Result:
    """An optimized model with the account of how it came about.

    model: the IR. journal: every rewrite and remark. before, after: what the model held and holds. pipeline: what ran,
    as text. parity: the proof, None with verify="off". held_back: rewrites that were found to be wrong and taken back,
    with what they did.
    seconds: of the optimization alone. source, saved: paths of the files read and written, "" if there are none.
    """

    model: Model
    journal: Journal
    before: Statistics
    pipeline: str
    target: str = "onnx"
    parity: ParityReport | None = None
    held_back: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    verify_seconds: float = 0.0
    source: str = ""
    source_bytes: int = 0
    saved: str = ""
    saved_bytes: int = 0

    @cached_property
    def after(self) -> Statistics:
        return Statistics.of(self.model)

    @property
    def remarks(self) -> list[Remark]:
        """What was applied and what was refused, with the reasons."""
        return self.journal.remarks

    def proto(self) -> ModelProto:
        """The model as a ModelProto (tensors in other files stay references)."""
        return to_proto(self.model)

    def graph(self) -> gs.Graph:
        """The model as a graphsurgeon graph, with the data of all tensors."""
        return gs.import_onnx(to_proto(self.model, inline=True))

    def save(self, path: str | Path, *, external_data: bool | None = None) -> None:
        """Write the model; whole or not at all.

        Args:
            external_data: True puts every big tensor into `<name>.data`, False forbids that file, None does what the
                source did and what protobuf's limit of 2 GiB asks for.
        """
        written = save(self.model, path, external_data=external_data)
        self.saved, self.saved_bytes = str(path), sum(file.stat().st_size for file in written)

    def to_dict(self) -> dict[str, Any]:
        """The account as plain data, which is also what `planish optimize --json` prints."""
        return account(self)

    def __repr__(self) -> str:
        proof = "not compared" if self.parity is None else self.parity.status
        return f"<Result: {self.before.nodes} -> {self.after.nodes} nodes, {self.journal.count} rewrites, {proof}>"

    def __str__(self) -> str:
        return summary_text(self.to_dict())
