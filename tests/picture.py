"""The picture of the README: prices and coverage of a demo's lake, drawn as SVG.

``just demo 3000 && just picture``: every column is a month, every cell of a column a day.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from etl.check.report.candles import daily_candles, daily_coverage
from etl.check.status import Status, statuses
from etl.config import load_settings
from lake.paths import Lake, open_lake
from lake.read import scan
from tests.demo import LAKE
from validators.outages import load_outages

OUT = Path(__file__).parents[1] / "docs" / "coverage.svg"
TABLE = "perpetuals_ohlcv"
WIDTH, LEFT, PANEL = 880, 48, 300  # pixels; a panel is one instrument
PRICES, HEIGHT, CALENDAR, CELL = 28, 80, 118, 5
GREEN, HELD, SHORT, OUTAGE = "#2a9d8f", "#8ad3c4", "#e9a23b", "#1e3a8a"
INK, LINE = "#64748b", "#f7931a"
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"


def main() -> None:
    """Draw the lake of the demo."""
    lake = open_lake(load_settings(root=LAKE).root)
    found = statuses(lake, TABLE)
    OUT.write_text(picture(lake, found), encoding="utf-8")


def picture(lake: Lake, found: Sequence[Status]) -> str:
    """Return the SVG of some instruments, one below the other on one time axis."""
    days = {status.instrument: coverage(lake, status.instrument) for status in found}
    starts = pl.concat([frame["month"] for frame in days.values()])
    span = pl.date_range(starts.min(), starts.max(), "1mo", eager=True)
    months = {month: number for number, month in enumerate(span)}
    step = (WIDTH - LEFT) / len(months)
    height = PANEL * len(found)
    view = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    font = f'font-family="{FONT}" font-size="12" fill="{INK}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {view} {font}>']
    for number, status in enumerate(found):
        drawn = panel(status, days[status.instrument], months, step)
        lines.append(f'<g transform="translate(0 {number * PANEL})">\n{drawn}\n</g>')
    return "\n".join([*lines, "</svg>\n"])


def coverage(lake: Lake, instrument: str) -> pl.DataFrame:
    """Return `month`, `row` (day of the month), owed, held, outage [min] and close of each day."""
    minutes = scan(lake, TABLE, instrument)
    days = daily_coverage(minutes, load_outages(None))
    return days.join(daily_candles(minutes), on="day").with_columns(
        month=pl.col("day").dt.truncate("1mo"), row=pl.col("day").dt.day() - 1
    )


def panel(status: Status, days: pl.DataFrame, months: Mapping[object, int], step: float) -> str:
    """Return title, price line and calendar of one instrument."""
    placed = days.with_columns(
        x=LEFT + pl.col("month").replace_strict(months, return_dtype=pl.Float64) * step
    )
    return "\n".join(
        [
            title(status, days),
            prices(placed, step),
            *calendar(placed, step),
            *outages(placed, step),
            *axis(months, step),
        ]
    )


def title(status: Status, days: pl.DataFrame) -> str:
    """Return the verdict and what it rests on, as `status` says it."""
    lost = int(days["outage"].sum())
    words = f"{status.rows:,} one-minute candles · {status.fillers:,} without a trade"
    words += f" · {lost:,} minutes lost to documented outages" if lost else ""
    return (
        f'<text y="18"><tspan font-weight="bold" font-size="14">{status.instrument}</tspan>'
        f'<tspan dx="10" font-weight="bold" fill="{GREEN}">{status.verdict}</tspan>'
        f'<tspan dx="10">{words}</tspan></text>'
    )


def prices(days: pl.DataFrame, step: float) -> str:
    """Return every third daily close on a log scale."""
    log = days["close"].log()
    low, high = days["close"].log().min(), days["close"].log().max()
    across = days["x"] + days["row"] / 31 * step
    down = PRICES + (high - log) / (high - low) * HEIGHT
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across[::3], down[::3], strict=True))
    most, least = f"{days['close'].max():,.0f}", f"{days['close'].min():,.0f}"
    line = f'<polyline fill="none" stroke="{LINE}" stroke-width="1.2" points="{points}"/>'
    return "\n".join([label(most, PRICES + 6), label(least, PRICES + HEIGHT), line])


def calendar(days: pl.DataFrame, step: float) -> Iterator[str]:
    """Yield the cells of each colour: one dash per day of a line that runs down its month."""
    whole, explained = pl.col("held") == pl.col("owed"), pl.col("outage") > 0
    colour = pl.when(whole).then(pl.lit(HELD)).when(explained).then(pl.lit(OUTAGE))
    runs = (
        days.with_columns(colour=colour.otherwise(pl.lit(SHORT)))
        .group_by("x", "colour", pl.struct("x", "colour").rle_id().alias("run"))
        .agg(pl.col("row").min().alias("first"), pl.len().alias("days"))
        .sort("x", "first")
    )
    for (name,), cells in runs.group_by("colour", maintain_order=True):
        lines = "".join(
            f"M{x + step / 2:.1f} {CALENDAR + first * CELL}v{count * CELL}"
            for x, first, count in cells.select("x", "first", "days").iter_rows()
        )
        dash = f'stroke-width="{step - 1:.1f}" stroke-dasharray="{CELL - 1} 1"'
        yield f'<path stroke="{name}" {dash} d="{lines}"/>'
    yield label("day 1", CALENDAR + CELL)
    yield label("31", CALENDAR + 31 * CELL)


def outages(days: pl.DataFrame, step: float) -> Iterator[str]:
    """Yield a ring around each day with a documented outage, and how long it was."""
    columns = ("x", "row", "day", "outage")
    found = days.filter(pl.col("outage") > 0).select(columns).iter_rows()
    for number, (x, row, day, minutes) in enumerate(found):
        across, down = x + step / 2, CALENDAR + row * CELL + CELL / 2
        side, anchor = ((10, "start"), (-10, "end"))[number % 2]
        yield f'<circle cx="{across:.1f}" cy="{down}" r="6" fill="none" stroke="{OUTAGE}"/>'
        yield (
            f'<text x="{across + side:.1f}" y="{down + 4}" text-anchor="{anchor}" fill="{OUTAGE}" '
            f'font-size="11" font-weight="bold">{day}: outage, {minutes} min</text>'
        )


def axis(months: Mapping[object, int], step: float) -> Iterator[str]:
    """Yield the years below the calendar."""
    for month, number in months.items():
        if f"{month:%m}" == "01":
            x, y = LEFT + number * step, CALENDAR + 31 * CELL + 16
            yield f'<text x="{x:.0f}" y="{y}">{month:%Y}</text>'


def label(text: str, y: float) -> str:
    """Return a label left of a chart."""
    return f'<text x="{LEFT - 6}" y="{y}" text-anchor="end" font-size="10">{text}</text>'


if __name__ == "__main__":
    main()
