"""Reads the text of a dimension (`dim_param`) as an expression."""

from __future__ import annotations

import ast
import re

from .polynomial import Dim, add, floordiv, mod, mul, sub, symbol

_HYPHENATED = re.compile(r"[A-Za-z_]-|-[A-Za-z_]")


def parse(text: str) -> Dim:
    """The expression that `text` spells; text that is none ("batch-size", "N/2") becomes one opaque symbol."""
    if text.isidentifier():
        return symbol(text)
    if not _HYPHENATED.search(text):
        try:
            found = _read(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError):
            found = None
        if found is not None:
            return found
    return symbol(text)


def _read(node: ast.expr) -> Dim | None:
    if isinstance(node, ast.Name):
        return symbol(node.id)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.BinOp):
        left, right = _read(node.left), _read(node.right)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.FloorDiv | ast.Mod):
            if right == 0:
                return None
            return floordiv(left, right) if isinstance(node.op, ast.FloorDiv) else mod(left, right)
        operation = {ast.Add: add, ast.Sub: sub, ast.Mult: mul}.get(type(node.op))
        return None if operation is None else operation(left, right)
    return None
