"""Labels keep clear of each other, of the points and of the frame."""

import numpy as np

from divrec.analysis.label_placement import boxes_along, boxes_around, place_labels

FRAME = np.array([0.0, 0.0, 400.0, 300.0])


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    return float(np.clip(sides, 0, None).prod())


def test_crowded_labels_do_not_cover_each_other_or_points() -> None:
    anchors = np.array([[200.0, 150], [208, 152], [214, 148], [222, 155], [230, 150]])
    sizes = np.tile([18.0, 9.0], (5, 1))
    points = boxes_around(anchors, 4)
    centers = place_labels(anchors, sizes, points, FRAME, gap=5)
    boxes = np.hstack([centers - sizes / 2, centers + sizes / 2])
    assert all(overlap(boxes[i], boxes[j]) == 0 for i in range(5) for j in range(i))
    assert all(overlap(box, point) == 0 for box in boxes for point in points)


def test_labels_stay_inside() -> None:
    corners = np.array([[2.0, 2], [398, 2], [2, 298], [398, 298]])
    sizes = np.tile([20.0, 10.0], (4, 1))
    centers = place_labels(corners, sizes, np.empty((0, 4)), FRAME, gap=3)
    assert (centers - sizes / 2 >= FRAME[:2]).all()
    assert (centers + sizes / 2 <= FRAME[2:]).all()


def test_a_lone_label_stands_close_and_off_the_line() -> None:
    anchor = np.array([[200.0, 150.0]])
    line = boxes_along(np.array([[100.0, 50.0], [200, 150], [300, 250]]), 1)
    (center,) = place_labels(anchor, np.array([[18.0, 9.0]]), line, FRAME, gap=4)
    assert np.hypot(*(center - anchor[0])) < 20
    assert len(line) == 32
    assert (center - anchor[0])[0] * (center - anchor[0])[1] <= 0  # not along the rising diagonal
