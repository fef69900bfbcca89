"""Charts as inline SVG: lines along a quantity, bars by month; each says in words what it shows.

Colours are classes of the page's style, so that they suit light and dark; lines differ by their
dashes, too, and points by their shapes.
"""

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from typing import Literal, NamedTuple

from etl.check.report.markup import Markup

WIDTH, HEIGHT = 380, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 12, 36
TICKS = 5
SHOWN = 1e-9  # of a step, by which a tick may miss
BARS_HEIGHT = 130
LETTER = 6.5  # of a label, at most
BARS_LEFT = 58
STYLES = 6


Shape = Literal["line", "points", "both"]


class Curve(NamedTuple):
    """A line of a chart, or points of it; what is NaN is not drawn."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    shape: Shape = "line"


class Axis(NamedTuple):
    """What an axis is called, and where it says what; no ticks: round numbers."""

    label: str
    ticks: Sequence[tuple[float, str]] = ()
    is_log: bool = False
    unit: str = ""

    def place(self, value: float) -> float:
        """Return where a value stands, before it is scaled to the picture; NaN for nowhere."""
        if not self.is_log:
            return value
        return math.log(value) if value > 0 else math.nan


def chart(title: str, curves: Sequence[Curve], across: Axis, up: Axis) -> Markup:
    """Return a chart of lines and points, with a legend where there are several."""
    placed = [_placed(curve, across, up) for curve in curves]
    points = [(x, y) for some in placed for x, y in some if math.isfinite(x + y)]
    if not points:
        return Markup("")
    xs, ys = _ends([x for x, _ in points], 0.0), _ends([y for _, y in points], 0.06)
    at_x = _scale(xs, (LEFT, WIDTH - RIGHT))
    at_y = _scale(ys, (HEIGHT - BOTTOM, TOP))
    shapes = [*_axes(across, up, (xs, ys), (at_x, at_y))]
    for number, (curve, places) in enumerate(zip(curves, placed, strict=True)):
        shapes += _curve(number, curve.shape, [(at_x(x), at_y(y)) for x, y in places])
    title = f"{title}: {up.label}" if up.label else title
    label = escape(f"{title}; the table below has the numbers")
    return Markup(
        f'<figure><figcaption>{escape(title)}</figcaption><svg class="chart" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(shapes)}</svg>{_legend(curves) if len(curves) > 1 else ''}</figure>"
    )


def bars(
    title: str, labels: Sequence[str], values: Sequence[float], form: Callable[[float], str]
) -> Markup:
    """Return a bar for each label, with the greatest value and the labels at the ends."""
    most = max(values)
    step = (WIDTH - BARS_LEFT - RIGHT) / len(values)
    base = BARS_HEIGHT - 20
    shapes = []
    for number, (label, value) in enumerate(zip(labels, values, strict=True)):
        height = (base - TOP) * value / most
        told = escape(f"{label}: {form(value)}")
        shapes.append(
            f'<rect class="bar" x="{BARS_LEFT + number * step + 1:.1f}" y="{base - height:.1f}" '
            f'width="{step - 2:.1f}" height="{height:.1f}"><title>{told}</title></rect>'
        )
    shapes += [
        _text(BARS_LEFT - 5, TOP + 4, form(most), "end"),
        _text(BARS_LEFT - 5, base, form(0), "end"),
        _text(BARS_LEFT, BARS_HEIGHT - 5, labels[0], "start"),
        _text(WIDTH - RIGHT, BARS_HEIGHT - 5, labels[-1], "end"),
        f'<path class="axis" d="M{BARS_LEFT} {base}H{WIDTH - RIGHT}"/>',
    ]
    label = escape(f"{title}; the table below has the numbers")
    return Markup(
        f'<figure><figcaption>{escape(title)}</figcaption><svg class="chart" '
        f'viewBox="0 0 {WIDTH} {BARS_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(shapes)}</svg></figure>"
    )


def round_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two, some five of them."""
    if not high > low:
        return [low]
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough)
    first = math.ceil(low / step - SHOWN)
    return [number * step for number in range(first, math.floor(high / step + SHOWN) + 1)]


def _ends(values: Sequence[float], margin: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = margin * (high - low) or (0.0 if high > low else abs(high) * 0.05 or 1.0)
    return low - pad, high + pad


def _scale(ends: tuple[float, float], to: tuple[float, float]) -> Callable[[float], float]:
    share = (to[1] - to[0]) / (ends[1] - ends[0])
    return lambda value: to[0] + (value - ends[0]) * share


def _axes(
    across: Axis,
    up: Axis,
    ends: tuple[tuple[float, float], tuple[float, float]],
    at: tuple[Callable[[float], float], Callable[[float], float]],
) -> list[str]:
    shapes = []
    for value, words in up.ticks or _numbers(ends[1], up):
        y = at[1](up.place(value))
        shapes.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        shapes.append(_text(LEFT - 5, y + 4, words, "end"))
    for value, words in across.ticks or _numbers(ends[0], across):
        x = at[0](across.place(value))
        if LEFT - 1 <= x <= WIDTH - RIGHT + 1:
            shapes.append(f'<path class="axis" d="M{x:.1f} {HEIGHT - BOTTOM}v4"/>')
            shapes.append(_text(x, HEIGHT - BOTTOM + 16, words, _anchor(x, words)))
    shapes.append(f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    shapes.append(_text(middle, HEIGHT - 4, across.label, "middle"))
    return shapes


def _anchor(x: float, words: str) -> str:
    """Return how a label stands to its tick, so that none is cut at the sides."""
    half = LETTER * len(words) / 2
    if x - half < 0:
        return "start"
    return "end" if x + half > WIDTH else "middle"


def _numbers(ends: tuple[float, float], axis: Axis) -> list[tuple[float, str]]:
    if axis.is_log:
        first, last = (end / math.log(10) for end in ends)
        powers = range(math.ceil(first - SHOWN), math.floor(last + SHOWN) + 1)
        return [(10.0**power, f"{10.0**power:,g}{axis.unit}") for power in powers]
    ticks = round_ticks(*ends)
    step = min((b - a for a, b in pairwise(ticks)), default=1.0)
    digits = max(0, -math.floor(math.log10(step) + SHOWN))
    return [(one, f"{one + 0.0:,.{digits}f}{axis.unit}") for one in ticks]


def _placed(curve: Curve, across: Axis, up: Axis) -> list[tuple[float, float]]:
    return [(across.place(x), up.place(y)) for x, y in zip(curve.x, curve.y, strict=True)]


def _curve(number: int, shape: Shape, places: Sequence[tuple[float, float]]) -> list[str]:
    shapes, line, is_drawing = [], "", False
    look = f"c{number % STYLES}"
    for x, y in places:
        if not math.isfinite(x + y):
            is_drawing = False
            continue
        line += f"{'L' if is_drawing else 'M'}{x:.1f} {y:.1f}"
        is_drawing = True
        if shape != "line":
            shapes.append(_point(number, look, x, y))
    if shape != "points":
        shapes.insert(0, f'<path class="curve {look}" d="{line}"/>')
    return shapes


def _point(number: int, look: str, x: float, y: float) -> str:
    if number % 2:
        return f'<rect class="point {look}" x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6"/>'
    return f'<circle class="point {look}" cx="{x:.1f}" cy="{y:.1f}" r="3.4"/>'


def _legend(curves: Sequence[Curve]) -> str:
    keys = []
    for number, curve in enumerate(curves):
        look = f"c{number % STYLES}"
        line = "" if curve.shape == "points" else f'<path class="curve {look}" d="M0 5H24"/>'
        point = "" if curve.shape == "line" else _point(number, look, 12, 5)
        keys.append(
            f'<span class="key"><svg class="swatch" viewBox="0 0 24 10" aria-hidden="true">'
            f"{line}{point}</svg>{escape(curve.name)}</span>"
        )
    return f'<p class="legend">{"".join(keys)}</p>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
