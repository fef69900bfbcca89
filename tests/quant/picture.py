"""The error plots of docs/quant.md, drawn as SVG: ``just picture-quant``.

Every dot is an option of a made-up market: across, its total standard deviation; up, the error of
our implied volatility in units of what rounding its price to a double makes.
"""

import math
from pathlib import Path

import numpy as np

from quant.kernels.implied_vol import implied_vol
from tests.quant.markets import SETS, extreme
from tests.quant.reference import EPS, Option, implied_vol_error

OUT = Path(__file__).parents[2] / "docs" / "iv_error.svg"
ROWS = 300
WIDTH, HEIGHT, LEFT, TOP = 430, 230, 40, 28  # pixels of a panel and its margins
LARGEST = 10.0
DECADES = (-3, 1)  # of the standard deviation
INK, DOT, RULE = "#64748b", "#2a9d8f", "#cbd5e1"
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"


def main() -> None:
    """Draw the four markets."""
    OUT.write_text(picture({**SETS, "extreme": extreme}), encoding="utf-8")


def picture(markets) -> str:
    """Return the SVG, two panels a row."""
    width, height = 2 * WIDTH, math.ceil(len(markets) / 2) * HEIGHT
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    font = f'font-family="{FONT}" font-size="11" fill="{INK}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>']
    for number, (name, make) in enumerate(markets.items()):
        across, down = number % 2 * WIDTH, number // 2 * HEIGHT
        lines.append(f'<g transform="translate({across} {down})">{panel(name, make(ROWS))}</g>')
    return "\n".join([*lines, "</svg>\n"])


def panel(name, market) -> str:
    """Return the dots of one market, its axes and their names."""
    stdev, units = errors(market)
    dots = "".join(
        f'<circle cx="{x_of(s):.1f}" cy="{y_of(u):.1f}" r="1.4"/>'
        for s, u in zip(stdev, units, strict=True)
    )
    worst = f"{name}: {len(units):,} options, worst {max(units):.1f}"
    return f'<text x="{LEFT}" y="16">{worst}</text>{axes()}<g fill="{DOT}">{dots}</g>'


def errors(market):
    """Return standard deviation, and error over attainable error, of the options solved."""
    iv, status = implied_vol(*market.quotes)
    stdev, units = [], []
    for i in np.flatnonzero(status == 0):
        columns = (market.forward[i], market.strike[i], market.tenor[i], iv[i])
        error, condition = implied_vol_error(
            Option(*columns, bool(market.is_call[i])), market.price[i]
        )
        stdev.append(iv[i] * math.sqrt(market.tenor[i]))
        units.append(error / (EPS * max(1.0, condition)))
    return stdev, units


def axes() -> str:
    """Return rules at whole units and decades."""
    parts = []
    for unit in range(0, int(LARGEST) + 1, 2):
        y = y_of(unit)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 12}" stroke="{RULE}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{unit}</text>')
    for decade in range(DECADES[0], DECADES[1] + 1):
        x, label = x_of(10.0**decade), f"{10.0**decade:g}"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{label}</text>')
    return "".join(parts)


def x_of(stdev) -> float:
    """Return where a standard deviation stands."""
    share = (math.log10(stdev) - DECADES[0]) / (DECADES[1] - DECADES[0])
    return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - 20)


def y_of(units) -> float:
    """Return where an error stands."""
    return TOP + (1.0 - min(units, LARGEST) / LARGEST) * (HEIGHT - TOP - 32)


if __name__ == "__main__":
    main()
