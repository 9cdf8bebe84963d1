"""A plot of lines on two logarithmic axes, as SVG that any browser and GitHub show; no library is needed for that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 980, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 370, 44, 50
_COLOURS = (
    *("#0b6e4f", "#c1121f", "#e07a1f", "#30638e", "#7d4e9e", "#8a7a00"),
    *("#007f8a", "#a0527a", "#555555", "#5a8f00", "#0000b0", "#b04a00"),
)
_GREY = "#b8b8b8"
_TEXT = 'font-family="sans-serif" font-size="12" fill="#444444"'
Points = Sequence[tuple[float, float]]


def plot(title: str, across: str, lines: Mapping[str, Points]) -> str:
    """One line for each name, microseconds upwards; a single point is a dot."""
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    scale = _Scale(_decades(xs), _decades(ys))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="24" {_TEXT} font-weight="bold">{escape(title)}</text>',
        (
            f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 10}" {_TEXT} text-anchor="middle">'
            f"{escape(across)}</text>"
        ),
        *_grid(scale),
    ]
    # Names stand in the order in which their lines end, so that the eye finds one from the other.
    order = sorted(lines, key=lambda name: -lines[name][-1][1])
    for place, name in enumerate(order):
        colour = _COLOURS[list(lines).index(name) % len(_COLOURS)]
        parts += _line(scale, name, lines[name], colour, _TOP + 16 + 22 * place)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    def __init__(self, x: tuple[int, int], y: tuple[int, int]) -> None:
        self.x, self.y = x, y

    def across(self, value: float) -> float:
        first, last = self.x
        return _LEFT + (math.log10(value) - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def up(self, value: float) -> float:
        first, last = self.y
        return _HEIGHT - _BOTTOM - (math.log10(value) - first) / (last - first) * (_HEIGHT - _TOP - _BOTTOM)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return first, max(last, first + 1)


def _grid(scale: _Scale) -> list[str]:
    parts = []
    right, floor = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for power in range(scale.y[0], scale.y[1] + 1):
        y = scale.up(10.0**power)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="{_GREY}" stroke-width="0.5"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" {_TEXT} text-anchor="end">{_time(power)}</text>')
    for power in range(scale.x[0], scale.x[1] + 1):
        x = scale.across(10.0**power)
        parts.append(f'<path d="M{x:.1f} {_TOP}V{floor}" stroke="{_GREY}" stroke-width="0.5"/>')
        parts.append(f'<text x="{x:.1f}" y="{floor + 18}" {_TEXT} text-anchor="middle">{10**power:,}</text>')
    return parts


def _time(power: int) -> str:
    """A power of ten of microseconds."""
    unit = ("µs", "ms", "s")[min(max(power, 0) // 3, 2)]
    number = 10.0 ** (power - 3 * min(max(power, 0) // 3, 2))
    return f"{number:g} {unit}"


def _line(scale: _Scale, name: str, points: Points, colour: str, label_y: float) -> list[str]:
    where = [(scale.across(x), scale.up(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in where)
    end_x, end_y = where[-1]
    label_x = _WIDTH - _RIGHT + 40
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in where),
        (
            f'<path d="M{end_x + 5:.1f} {end_y:.1f}L{label_x - 4} {label_y - 4:.1f}" stroke="{colour}" '
            'stroke-width="0.5" stroke-dasharray="3 3"/>'
        ),
        (
            f'<text x="{label_x}" y="{label_y:.1f}" font-family="sans-serif" font-size="12" fill="{colour}">'
            f"{escape(name)}</text>"
        ),
    ]
