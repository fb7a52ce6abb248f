"""Images: decoding, sampling grids, columns back to pixels."""

from __future__ import annotations

from collections.abc import Sequence

from .. import symbolic
from ..graph import Node
from .axes import known
from .facts import Facts, content_of, rule, unknown_dim

_UINT8 = 2


@rule("Col2Im")
def columns_to_image(node: Node) -> Sequence[Facts]:
    """(N, C * product(block), L) -> (N, C, *image)."""
    dtype, shape = known(node.input(0))
    image, block = content_of(node.input(1)), content_of(node.input(2))
    if shape is None or len(shape) != 3 or image is None:
        return (Facts(dtype),)
    size = None if block is None else symbolic.product(block)
    channels = symbolic.floordiv(shape[1], size) if isinstance(size, int) and size > 0 else unknown_dim(node, 0, 1)
    return (Facts(dtype, (shape[0], channels, *image)),)


@rule("AffineGrid")
def affine_grid(node: Node) -> Sequence[Facts]:
    """The size (N, C, H, W) or (N, C, D, H, W) gives a grid (N, H, W, 2) or (N, D, H, W, 3)."""
    dtype, _ = known(node.input(0))
    size = content_of(node.input(1))
    if size is None or len(size) not in (4, 5):
        return (Facts(dtype),)
    return (Facts(dtype, (size[0], *size[2:], len(size) - 2)),)


@rule("ImageDecoder")
def image_decoder(node: Node) -> Sequence[Facts]:
    """(height, width, channels) of 8-bit pixels."""
    channels = 1 if node.str_attr("pixel_format", "RGB") == "Grayscale" else 3
    return (Facts(_UINT8, (unknown_dim(node, 0, 0), unknown_dim(node, 0, 1), channels)),)
