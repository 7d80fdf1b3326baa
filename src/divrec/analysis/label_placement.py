"""Places small labels beside their points so that they do not cover each other, the points, or leave the panel.

Shapes: P labels, O obstacles; boxes are (left, bottom, right, top) in pixels, or in any unit with equal axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DIRECTIONS = np.deg2rad(np.array([45, 135, 315, 225, 90, 270, 0, 180, 22, 158, 338, 202, 68, 112, 292, 248]))
_RINGS = (1.0, 1.8, 2.7, 3.7)


def boxes_around(centers_O2: Floats, half: float) -> Floats:
    """Square obstacles, (O, 4), around points."""
    return np.hstack([centers_O2 - half, centers_O2 + half])


def boxes_along(corners_P2: Floats, half: float, steps: int = 16) -> Floats:
    """Small obstacles along a polyline: a label rather stands beside a line than on it."""
    shares = np.linspace(0, 1, steps)[:, None]
    parts = [(1 - shares) * a + shares * b for a, b in zip(corners_P2[:-1], corners_P2[1:], strict=True)]
    return boxes_around(np.concatenate(parts) if parts else np.empty((0, 2)), half)


def place_labels(anchors_P2: Floats, sizes_P2: Floats, obstacles_O4: Floats, frame: Floats, gap: float) -> Floats:
    """Greedy placement: each label takes the nearest free spot around its point, the least covered one if none is.

    Args:
        anchors_P2: points that are labeled, in the order in which they choose.
        sizes_P2: widths and heights of the labels.
        obstacles_O4: boxes that no label should cover.
        frame: (4,) the panel.
        gap: distance from the point to the nearest ring of spots.

    Returns:
        (P, 2) centers of the labels.
    """
    centers = np.zeros_like(anchors_P2)
    taken = [np.asarray(box) for box in obstacles_O4]
    for row, (anchor, size) in enumerate(zip(anchors_P2, sizes_P2, strict=True)):
        spots = _spots(anchor, size, gap)
        boxes = np.concatenate([spots - size / 2, spots + size / 2], axis=1)
        cost = _covered(boxes, np.array(taken).reshape(-1, 4)) + 4 * _outside(boxes, frame)
        nearness = np.arange(len(spots)) * 1e-3 * size.prod() / len(spots)
        best = int(np.argmin(cost + nearness))
        centers[row] = spots[best]
        taken.append(boxes[best])
    return centers


def _spots(anchor: Floats, size: Floats, gap: float) -> Floats:
    unit = np.stack([np.cos(_DIRECTIONS), np.sin(_DIRECTIONS)], axis=1)
    return np.concatenate([anchor + unit * (ring * gap + size / 2) for ring in _RINGS])


def _covered(boxes_S4: Floats, taken_T4: Floats) -> Floats:
    left = np.maximum(boxes_S4[:, None, :2], taken_T4[None, :, :2])
    right = np.minimum(boxes_S4[:, None, 2:], taken_T4[None, :, 2:])
    covered: Floats = np.clip(right - left, 0, None).prod(axis=2).sum(axis=1)
    return covered


def _outside(boxes_S4: Floats, frame: Floats) -> Floats:
    inside = np.minimum(boxes_S4[:, 2:], frame[2:]) - np.maximum(boxes_S4[:, :2], frame[:2])
    whole = (boxes_S4[:, 2:] - boxes_S4[:, :2]).prod(axis=1)
    outside: Floats = whole - np.clip(inside, 0, None).prod(axis=1)
    return outside
