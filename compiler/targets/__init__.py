"""How long nodes take on a target, as far as that was measured; `compare` decides whether a rewrite pays."""

from .prediction import Comparison, Target, compare, target_named
from .scenario import Scenario

__all__ = ["Comparison", "Scenario", "Target", "compare", "target_named"]
