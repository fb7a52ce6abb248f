"""Which interval of an axis comes from where, and who reads it.

    sources(Segment(y, 1, 8, 4))         the stretches of other values that channels 8 to 11 of y were copied from
    readers(Segment.whole(x, 1))         who reads which channels of x, through Split, Slice, Concat, Reshape...
    readers(..., Reach.POSITIONS)        the same through activations, norms and poolings too
    region_of(x, 1)                      the values that must keep the channels of x, and where that ends
    links(node)                          how the axes of one node's inputs and outputs belong together

Extents may be symbolic; where an answer would depend on their values, a query ends and says so by ending there.
"""

from . import compute, movement  # noqa: F401  (they register their rules)
from .links import Link, broadcast_links, kept_axes, link_rule, links
from .queries import Reach, Segment, Source, Use, covered, downwards, readers, sources, upwards
from .regions import Region, region_of

__all__ = [
    "Link", "Reach", "Region", "Segment", "Source", "Use", "broadcast_links", "covered", "downwards", "kept_axes",
    "link_rule", "links", "readers", "region_of", "sources", "upwards",
]  # fmt: skip
