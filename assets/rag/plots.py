"""Small pictures for the Dagster UI: Markdown that carries its own SVG, so that no plotting library is loaded."""

import base64
from collections.abc import Mapping, Sequence
from html import escape

import dagster as dg

_WIDTH, _HEIGHT = 480, 180
_LEFT, _TOP, _BOTTOM = 8, 28, 24
_MOST_BARS = 30
_COLOURS = ("#4f43dd", "#d97706", "#b91c1c", "#6b7280")


def histogram(values: Sequence[float], *, title: str, of: str) -> dg.MarkdownMetadataValue:
    """Return how `values` are spread; `of` names their unit."""
    if not values:
        return dg.MetadataValue.md(f"_{title}: nothing to show._")
    low, high = min(values), max(values)
    drawn = [
        _text(_LEFT, _TOP - 12, f"{title} (n = {len(values)})", "start"),
        *_bars(_counts(values, low, high)),
        _text(_LEFT, _HEIGHT - 8, f"{low:g}", "start"),
        _text(_WIDTH // 2, _HEIGHT - 8, of, "middle"),
        _text(_WIDTH - _LEFT, _HEIGHT - 8, f"{high:g}", "end"),
    ]
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{_svg(drawn)})")


def trend(lines: Mapping[str, Sequence[float]], *, title: str) -> dg.MarkdownMetadataValue:
    """Return how numbers in 0..1 have gone, oldest first; a line of its own for each name."""
    if not any(lines.values()):
        return dg.MetadataValue.md(f"_{title}: nothing to show._")
    drawn = [_text(_LEFT, _TOP - 12, title, "start")]
    for colour, (name, values) in zip(_COLOURS, lines.items(), strict=False):
        points = _points(values)
        drawn.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [_dot(point, colour, f"{name} {value:.3f}") for point, value in zip(points, values, strict=True)]
    legend = ", ".join(f"{name} {values[-1]:.3f}" for name, values in lines.items() if values)
    drawn.append(_text(_WIDTH // 2, _HEIGHT - 8, legend, "middle"))
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{_svg(drawn)})")


def counts(lines: Mapping[str, Sequence[int]], *, title: str) -> dg.MarkdownMetadataValue:
    """Return how whole numbers have gone, oldest first, against the highest of them all; a line for each name."""
    highest = max((value for values in lines.values() for value in values), default=0)
    if not any(lines.values()):
        return dg.MetadataValue.md(f"_{title}: nothing to show._")
    drawn = [
        _text(_LEFT, _TOP - 12, title, "start"),
        _text(_WIDTH - _LEFT, _TOP - 12, f"highest {highest}", "end"),
    ]
    for colour, (name, values) in zip(_COLOURS, lines.items(), strict=False):
        points = _points([value / (highest or 1) for value in values])
        drawn.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [_dot(point, colour, f"{name} {value}") for point, value in zip(points, values, strict=True)]
    width = (_WIDTH - 2 * _LEFT) // len(lines)
    for place, (colour, (name, values)) in enumerate(zip(_COLOURS, lines.items(), strict=False)):
        drawn.append(_text(_LEFT + place * width, _HEIGHT - 8, f"{name} {values[-1]}", "start", colour))
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{_svg(drawn)})")


def _points(values: Sequence[float]) -> list[str]:
    step = (_WIDTH - 2 * _LEFT) / max(1, len(values) - 1)
    floor = _HEIGHT - _BOTTOM
    return [f"{_LEFT + place * step:.1f},{floor - value * (floor - _TOP):.1f}" for place, value in enumerate(values)]


def _dot(point: str, colour: str, title: str) -> str:
    x, y = point.split(",")
    return f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"><title>{escape(title)}</title></circle>'


def _counts(values: Sequence[float], low: float, high: float) -> list[int]:
    bars = min(_MOST_BARS, len(set(values)))
    counts = [0] * bars
    for value in values:
        counts[min(bars - 1, int((value - low) / (high - low or 1) * bars))] += 1
    return counts


def _bars(counts: Sequence[int]) -> list[str]:
    width = (_WIDTH - 2 * _LEFT) / len(counts)
    floor = _HEIGHT - _BOTTOM
    heights = [count / max(counts) * (floor - _TOP) for count in counts]
    return [
        f'<rect x="{_LEFT + place * width:.1f}" y="{floor - height:.1f}" width="{max(1.0, width - 1):.1f}" '
        f'height="{height:.1f}" fill="#4f43dd"><title>{counts[place]}</title></rect>'
        for place, height in enumerate(heights)
    ]


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#555") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _svg(drawn: Sequence[str]) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12">'
    )
    return base64.b64encode(f"{opening}{''.join(drawn)}</svg>".encode()).decode()
