"""push-reshapes: views that add or drop axes of extent 1 move through a region to where the fewest are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import Context, Pass
from .layout.relayout import improve_regions
from .views.reshape_targets import RESHAPES


@dataclass(frozen=True)
class PushReshapes(Pass):
    """Choose the rank of all operators between some reshapes together, so that the fewest reshapes are left.

    Before => After
        Unsqueeze(Relu(Squeeze(x)))                           =>   Relu(x)
        Reshape(Pad(Reshape(x[N,1,1,L], [N,1,L])), [N,1,1,M])  =>   Pad(x)
        Add(Squeeze(a), Squeeze(b))                           =>   Squeeze(Add(a, b))

    Covers Squeeze, Unsqueeze, and Reshape and Flatten that only add, drop or move axes of extent 1, around the
    operators of push-transposes.

    Legal when
        As in push-transposes; and no operator works along an axis that would be dropped.

    Pays when
        The number of reshapes in the region falls. The choice is a minimum cut, see push-transposes.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "push-reshapes"

    def run(self, context: Context, since: int) -> None:
        improve_regions(self, context, RESHAPES, "reshapes")
