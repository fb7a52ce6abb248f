"""The choice of boxes that do not overlap."""

from __future__ import annotations

from .emitter import Frame


def suppression(frame: Frame) -> list[str]:
    """Non-maximum suppression; the boxes of a batch in the order of their scores, whatever their class."""
    if frame.rank(0) != 3:
        frame.refuse("boxes of their own for each class")
    boxes, scores = (frame.float32(index) for index in (0, 1))
    by_class = frame.op("Transpose", scores, perm=[0, 2, 1])
    limits = [frame.op("Reshape", frame.int64(2), frame.ints([1]))]
    limits += [frame.op("Reshape", frame.float32(i), frame.ints([1])) if frame.has(i) else "" for i in (3, 4)]
    centres = int(frame.layer.choice("bounding_box_format") == "CENTER_SIZES")
    found = frame.op("NonMaxSuppression", boxes, by_class, *limits, center_point_box=centres)
    number = frame.op("Squeeze", frame.op("Shape", found, start=0, end=1))
    return [frame.cast(name, frame.result_type(index)) for index, name in enumerate((found, number))]
