"""Inputs for which a model means nothing by the specification, although the backend runs it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

_log = logging.getLogger(__name__)


def forbids(model: ModelProto, feeds: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """True if ONNX's reference implementation fails on `feeds`, but not on `others`.

    ONNX Runtime joins an empty tensor to others of any shape, for example, which the specification of Concat forbids.
    """
    return not _runs(model, feeds) and _runs(model, others)


def _runs(model: ModelProto, feeds: Mapping[str, Any]) -> bool:
    try:
        ReferenceEvaluator(model).run(None, dict(feeds))
    except Exception as error:  # whatever it raises means that it does not run
        _log.debug("the reference implementation fails: %s", error)
        return False
    return True
