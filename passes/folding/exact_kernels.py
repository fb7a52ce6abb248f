"""Operators that numpy computes bit for bit as a backend's kernel would.

Folding runs these in place, which costs microseconds, and leaves everything else to the backend: movement, integers,
comparisons, and the floating-point operations that IEEE 754 rounds correctly.
"""

from __future__ import annotations

import numpy as np

from ...compiler import dtypes
from ...compiler.graph import Node
from ...compiler.refusal import Refusal
from .exact_arithmetic import ARITHMETIC
from .exact_movement import MOVEMENT, Arrays, NotCovered

_KERNELS = {**MOVEMENT, **ARITHMETIC}


def compute(node: Node, inputs: Arrays) -> list[np.ndarray] | None:
    """The outputs of a node, None if there is no exact kernel for this case.

    Raises:
        Undefined: nobody must compute it.
    """
    kernel = _KERNELS.get(node.op)
    if kernel is None:
        return None
    try:
        with np.errstate(all="ignore"):
            results = [np.asarray(array) for array in kernel(node, inputs)]
    except (NotCovered, Refusal, IndexError, ValueError, TypeError, OverflowError):
        return None  # all but the first: an attribute or an input that the operator does not allow
    expected = [v.dtype for v in node.outputs if v is not None]
    if len(results) != len(node.outputs):
        return None
    if any(want and dtypes.of_array(array) != want for want, array in zip(expected, results)):
        return None
    return results
