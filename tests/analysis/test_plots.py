"""front.png: large enough, drawn, and its axes show the trade-off instead of the outliers."""

from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from divrec.analysis import FrontSummary
from divrec.analysis.chart_style import PALETTE, drawn_series, references, view_of
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront, front_of
from divrec.analysis.plots import draw_front


@pytest.fixture(scope="module")
def front(built: FrontSummary) -> GroupFront:
    return built.groups[0]


def test_is_wide_and_holds_every_color(built: FrontSummary, front: GroupFront) -> None:
    pixels = matplotlib.image.imread(built.folder / "front.png")[:, :, :3]
    assert pixels.shape[1] >= 1600
    for place in range(len([line for line in drawn_series(front) if line.joined])):
        wanted = np.array([int(PALETTE[place][0][i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert (np.abs(pixels - wanted).max(axis=2) < 0.02).sum() > 100


def test_the_random_list_does_not_squash_the_axes(front: GroupFront) -> None:
    for axis in front.axes:
        view = view_of(front, axis)
        assert "random" in [setting.name for setting in view.outside]
        assert "random" in view.note(front, axis)
        assert view.shows(front.control)
        assert view.low[1] > 0.7 * front.control.value(front.accuracy, "test")


def test_series_and_references_are_told_apart(front: GroupFront) -> None:
    looks = [line.look for line in drawn_series(front) if line.joined]
    assert [look.label for look in looks] == ["gini", "simpson", "gini_overlap (no effect)", "mmr on control"]
    assert len({(look.light, look.marker) for look in looks}) == len(looks)
    assert [look.stroke for look in looks] == ["solid", "solid", "solid", "dashed"]
    assert {setting.name for setting, _ in references(front)} == {"base", "random", "popular", "item_knn"}
    assert len({marker for _, marker in references(front)}) == 4


def test_draws_a_control_alone_and_a_control_without_hits(front: GroupFront, tmp_path: Path) -> None:
    alone = front_of("", [front.control], front.axes, front.accuracy)
    draw_front(alone, tmp_path / "alone.png", tmp_path / "alone.pdf", "alone")
    values = front.control.values | {"validation/ndcg@10": 0.0, "test/ndcg@10": 0.0}
    hitless = Setting("control", front.control.points, values, front.control.changes)
    others = [setting for setting in front.settings if setting is not front.control]
    hitless_front = front_of("", [hitless, *others], front.axes, front.accuracy)
    draw_front(hitless_front, tmp_path / "hitless.png", tmp_path / "hitless.pdf", "hitless")
    assert {path.name for path in tmp_path.iterdir()} == {"alone.png", "alone.pdf", "hitless.png", "hitless.pdf"}


def test_draws_fewer_axes(front: GroupFront, tmp_path: Path) -> None:
    draw_front(replace(front, axes=front.axes[:1]), tmp_path / "one.png", tmp_path / "one.pdf", "one")
    assert (tmp_path / "one.png").stat().st_size > 10_000
