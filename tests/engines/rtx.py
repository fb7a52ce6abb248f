"""Tests that need TensorRT-RTX itself; the test extra installs it wherever it has wheels."""

from __future__ import annotations

import importlib.util

import pytest

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="TensorRT-RTX has wheels for Linux and Windows on x86-64 only",
)
