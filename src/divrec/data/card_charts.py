"""The plots of the data card as inline SVG: colors come from the page, so they follow its light or dark ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 36
_BAR = 20  # height of a row of horizontal bars
_NAME = 190  # room for a name beside it
_LONGEST_NAME = 26


def stacked_bars(series: Mapping[str, Sequence[int]], first: str, last: str) -> str:
    """Counts over time, a color a series.

    Args:
        series: name -> count of each period.
        first: label at the left end.
        last: label at the right end.
    """
    drawn = {name: counts for name, counts in series.items() if sum(counts)}
    totals = [sum(column) for column in zip(*series.values(), strict=True)]
    top, bars = max(totals), []
    width = (_WIDTH - _LEFT - _RIGHT) / len(totals)
    for place in range(len(totals)):
        base = 0
        for name, counts in drawn.items():
            if counts[place]:
                low, base = base, base + counts[place]
                tip = f"{name}: {counts[place]:,}"
                box = (_LEFT + place * width, _y(base / top), max(width - 1, 0.6), _y(low / top) - _y(base / top))
                bars.append(_box(box, name, tip))
    legend = [
        f'<rect class="{escape(name)}" x="{_LEFT + 8 + 110 * n}" y="{_TOP - 2}" width="10" height="10"/>'
        f'<text x="{_LEFT + 22 + 110 * n}" y="{_TOP + 7}">{escape(name)}</text>'
        for n, name in enumerate(drawn)
    ]
    return _svg([*_grid(top), *bars, *legend, *_ends(first, last, "")])


def histogram(edges: Sequence[int], counts: Sequence[int], title: str) -> str:
    """Counts between edges that grow by a factor, so the axis is logarithmic."""
    top, bars = max(counts), []
    width = (_WIDTH - _LEFT - _RIGHT) / len(counts)
    for place, count in enumerate(counts):
        tip = f"{_span(edges[place], edges[place + 1])}: {count:,} users"
        bars.append(_box((_LEFT + place * width, _y(count / top), width - 1, _y(0) - _y(count / top)), "train", tip))
    step = max(1, len(counts) // 6)
    labels = [
        f'<text x="{_LEFT + place * width:.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{edges[place]:,}</text>'
        for place in range(0, len(edges), step)
    ]
    return _svg([*_grid(top), *bars, *labels, _title(title)])


def curve(values: Sequence[float], title: str) -> str:
    """A share over a share, both from 0 to 1, with the diagonal of equality."""
    points = [
        f"{_LEFT + (_WIDTH - _LEFT - _RIGHT) * place / (len(values) - 1):.1f},{_y(value):.1f}"
        for place, value in enumerate(values)
    ]
    diagonal = f'<line class="equal" x1="{_LEFT}" y1="{_y(0)}" x2="{_WIDTH - _RIGHT}" y2="{_y(1)}"/>'
    line = f'<polyline class="line" points="{" ".join(points)}"/>'
    return _svg([*_grid(1.0), diagonal, line, *_ends("0%", "100%", title)])


def horizontal_bars(rows: Sequence[tuple[str, float]]) -> str:
    """Shares with a name each."""
    top = max(max(share for _, share in rows), 1e-9)
    room = _WIDTH - _NAME - 60
    parts = []
    for place, (name, share) in enumerate(rows):
        y = place * _BAR
        shown = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
        parts += [
            f'<text x="{_NAME - 8}" y="{y + 14}" text-anchor="end">{escape(shown)}<title>{escape(name)}</title></text>',
            _box((_NAME, y + 3, room * share / top, _BAR - 6), "train", f"{name}: {share:.1%}"),
            f'<text x="{_NAME + room * share / top + 6:.1f}" y="{y + 14}">{share:.1%}</text>',
        ]
    return _svg(parts, _BAR * len(rows) + 4)


def _svg(parts: Sequence[str], height: int = _HEIGHT) -> str:
    return f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - 14 - _BOTTOM)


def _box(box: tuple[float, float, float, float], kind: str, tip: str) -> str:
    x, y, width, height = box
    return (
        f'<rect class="{escape(kind)}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{escape(tip)}</title></rect>"
    )


def _grid(top: float) -> list[str]:
    lines = []
    for share in (0.0, 0.5, 1.0):
        label = f"{share:.0%}" if top == 1.0 else f"{top * share:,.0f}"
        lines.append(
            f'<line class="grid" x1="{_LEFT}" y1="{_y(share):.1f}" x2="{_WIDTH - _RIGHT}" y2="{_y(share):.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{_y(share) + 4:.1f}" text-anchor="end">{label}</text>'
        )
    return lines


def _ends(first: str, last: str, title: str) -> list[str]:
    return [
        f'<text x="{_LEFT}" y="{_HEIGHT - 20}">{escape(first)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 20}" text-anchor="end">{escape(last)}</text>',
        _title(title),
    ]


def _title(title: str) -> str:
    return f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(title)}</text>'


def _span(low: int, high: int) -> str:
    return f"{low:,}" if high - low <= 1 else f"{low:,} to {high - 1:,}"
