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
from divrec.analysis.wording import words_in


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


def test_the_paper_has_letters_and_no_date(built: FrontSummary) -> None:
    paper = (built.folder / "front.pdf").read_bytes()
    assert paper.startswith(b"%PDF")
    assert b"/Type0" in paper or b"/TrueType" in paper
    assert b"CreationDate" not in paper


def test_chinese_without_a_font_is_drawn_in_english(
    front: GroupFront, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("divrec.analysis.plots._DPI", 40)
    monkeypatch.setattr("divrec.analysis.plots._CHINESE_FONTS", ("No Such Font",))
    small = replace(front, axes=front.axes[:1])
    draw_front(small, tmp_path / "a.png", tmp_path / "a.pdf", "sweep", words_in("zh"))
    draw_front(small, tmp_path / "b.png", tmp_path / "b.pdf", "sweep")
    assert "labels in the picture are English" in caplog.text
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_each_kind_of_point_has_a_look_of_its_own(front: GroupFront) -> None:
    mixed = [
        replace(
            setting, points=tuple(replace(p, record=replace(p.record, interpolation=weights)) for p in setting.points)
        )
        for setting, weights in ((s, {"control": 0.5, "gini-0.5": 0.5}) for s in front.settings)
        if setting.name == "gini-0.2"
    ]
    point = replace(mixed[0].first, setting="gini-0.5/mixed-0.5", series="interpolation to gini-0.5", strength=0.5)
    mixed = [replace(mixed[0], name="gini-0.5/mixed-0.5", points=(point,))]
    base = next(s for s in front.settings if s.name == "base")
    record = replace(base.first.record, name="base/mmr-0.1", rerank={"name": "mmr", "diversity": 0.1})
    again = replace(base, name="base/mmr-0.1", points=(replace(base.first, record=record),))
    whole = front_of("", [*front.settings, *mixed, again], front.axes, front.accuracy)
    drawn = {line.look.label: line for line in drawn_series(whole)}
    assert drawn["interpolation to gini-0.5"].look.stroke == "dotted"
    assert drawn["interpolation to gini-0.5"].joined
    reranked = drawn["trained points re-ranked (color of the model)"]
    assert reranked.look.light == drawn["gini"].look.light
    assert not reranked.joined
    assert drawn["base or baselines re-ranked"].settings == (again,)
    looks = [(line.look.light, line.look.marker, line.look.stroke) for line in drawn.values()]
    assert len(set(looks)) == len(looks)


def test_more_series_than_colors_still_differ(front: GroupFront) -> None:
    one = next(setting for setting in front.settings if setting.name == "control/mmr-0.3")
    many = []
    for number in range(14):
        point = replace(one.first, series=f"rival{number} on control")
        many.append(replace(one, name=f"control/rival{number}", points=(point,)))
    drawn = drawn_series(front_of("", [front.control, *many], front.axes[:1], front.accuracy))
    assert len({(line.look.light, line.look.marker) for line in drawn}) == 14


def test_the_crowd_around_the_control_is_not_labeled(front: GroupFront) -> None:
    axis = front.axes[0]
    view = view_of(front, axis)
    labeled = [setting.name for setting in front.settings if view.labels(front, axis, setting)]
    assert "gini-0.3" in labeled
    assert "gini_overlap-0.1" not in labeled
    assert "control" not in labeled
    assert "random" not in labeled
