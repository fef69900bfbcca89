"""``python -m benchmarks.sizing_page``: the tables of docs/scale.md, from the figures measured.

`benchmarks/sizing.json` is written by ``just bench sizing``; a test holds the page equal to this.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import sizing_model as model
from benchmarks.sizing_model import Figures, Part, Prices, Requests, Universe

HERE = Path(__file__).parent
MEASURED, PAGE = HERE / "sizing.json", HERE.parent / "docs" / "scale.md"
GENERATED = re.compile(
    r"(?P<head><!-- (?P<name>[a-z]+) -->\n).*?(?=<!-- end of (?P=name) -->)", re.DOTALL
)
WHOLE = Universe(
    (
        Part("BTC", 972, 33_000, 1),
        Part("ETH", 856, 17_000, 1),
        Part("USDC", 3_660, 11_500, 4),
    ),
    futures=198,
)
"""What lived on 2026-09-23, and as many trades as on a simulated day of 2024."""
CADENCES, CORES, YEARS = (1, 10, 60), (1, 2, 8, 32), (1, 5)
S3 = Prices(gib_month=0.023, thousand_puts=0.005, thousand_gets=0.0004, gib_out=0.09)
COUNTED = Requests(puts_a_publish=10, gets_a_publish=5, puts_an_hour=1_900)  # docs/bucket.md
EFFICIENCY = 0.82  # two workers took 0.61 of the time of one: docs/surface.md, docs/greeks.md
WITHIN_H, GB, TB = 1.0, 1e9, 1e12
DISKS_TB = (1, 4, 16)
FOLDED = ("fold option_tickers", "fold option_trades")
COMPUTED = ("candles of options", "forwards", "implied volatilities", "surfaces", "Greeks")
LARGE_MB, TOLERANCE = 2.0, 0.15  # of bytes, on the lake the model was checked on
SIZES = (500, 1_828, 5_488, 20_000)
Rows = Sequence[Sequence[str]]


def main() -> None:
    """Write the tables into the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page), encoding="utf-8")


def filled(page: str) -> str:
    """Return a page with its generated parts as the figures have them."""
    return GENERATED.sub(lambda found: found["head"] + TABLES[found["name"]](), page)


@cache
def told() -> Mapping[str, Any]:
    """Return what was measured."""
    found: Mapping[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


@cache
def figures() -> Figures:
    """Return the figures the model takes."""
    return model.figures_of(told())


def table(head: Sequence[str], rows: Rows) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def bytes_table() -> str:
    """Return what a year takes, by how many seconds lie between tickers that are kept."""
    by_cadence = [model.bytes_of(figures(), replace(WHOLE, every=every)) for every in CADENCES]
    names = list(by_cadence[0])
    rows = [[_called(name), *(_gb(one[name]) for one in by_cadence)] for name in names]
    for layer in ("raw", "clean", "derived"):
        sums = [sum(size for name, size in one.items() if name.startswith(layer))
                for one in by_cadence]  # fmt: skip
        rows.append([f"**all {layer}**", *(f"**{_gb(size)}**" for size in sums)])
    rows.append(["**everything**", *(f"**{_gb(sum(one.values()))}**" for one in by_cadence)])
    return table(["GB a year", *(f"a ticker every {every} s" for every in CADENCES)], rows)


def stream_table() -> str:
    """Return what a collector receives and keeps."""
    us = sum(unit.core_us for unit in figures().units if unit.stage == "collect")
    rate = WHOLE.messages_a_second
    size = figures().message_bytes
    rows = [
        ["received", f"{rate:,.0f} a second of {size:.0f} bytes, {rate * size / 1e6:.1f} MB/s"],
        ["to disk and into raw", f"{us:.0f} µs of a core each: {rate * us / 1e6:.0%} of one"],
    ]
    for every in CADENCES:
        kept = model.total(replace(WHOLE, every=every))[model.KEPT]
        each = figures().raw_of(every)
        said = f"{kept / 1e9:.1f} billion a year, {each:.0f} bytes each in raw"
        rows.append([f"kept, one every {every} s", said])
    return table(["tickers of 5,488 options", ""], rows)


def hours_table() -> str:
    """Return how long a year takes on some cores: each stage, and all of a kind."""
    rows = []
    for name, stages in (("folded", FOLDED), ("computed", COMPUTED)):
        for told_of in (*((one,) for one in stages), stages):
            found = [model.hours_on(figures(), WHOLE, told_of, n) for n in CORES]
            called = _called(told_of[0]) if len(told_of) == 1 else f"**all that is {name}**"
            rows.append([called, *map(_time, found)])
    every_minute = replace(WHOLE, surface_minutes=1)
    found = [model.hours_on(figures(), every_minute, ["surfaces"], n) for n in CORES]
    rows.append(["surfaces of trades every minute (`--every 1`)", *map(_time, found)])
    return table(["a year, on", *(f"{n} core{'s' * (n > 1)}" for n in CORES)], rows)


def queries_table() -> str:
    """Return what questions to some years take: first to open the lake, then to read."""
    cells = []
    for years in YEARS:
        groups = model.row_groups(WHOLE, years)
        opening = model.opening_seconds(figures(), WHOLE, years)
        cells += [_seconds(opening), _gb(groups * figures().footer_bytes)]
    rows = [["to open the lake, before any question", *cells]]
    for query in figures().queries:
        cells = [query.name]
        for years in YEARS:
            looked_into = model.query_rows(query, WHOLE, years)
            seconds = looked_into * query.core_us / 1e6
            cells += [_seconds(seconds), _gb(looked_into * query.bytes)]
        rows.append(cells)
    head = ["question"]
    for years in YEARS:
        head += [f"{years} year{'s' * (years > 1)}: s of a core", "GB read, at most"]
    return table(head, rows)


def costs_table() -> str:
    """Return what object storage costs a month, by cadence and years that are held."""
    rows = []
    for every in CADENCES:
        universe = replace(WHOLE, every=every)
        stored = sum(model.bytes_of(figures(), universe).values())
        keep = [model.storage_a_month(stored * years, S3) for years in YEARS]
        requests = model.requests_a_month(figures(), universe, COUNTED, S3)
        out = stored / model.GIB * S3.gib_out
        held = [f"{one:,.0f}" for one in keep]
        rows.append([f"{every} s", *held, f"{requests:.2f}", f"{out:,.0f}"])
    held = [f"{years} year{'s' * (years > 1)} held" for years in YEARS]
    return table(["a ticker every", *held, "requests of collecting", "a year read out, once"], rows)


def requests_table() -> str:
    """Return how many files and row groups of tickers there are, and what a request each costs."""
    files = [len(WHOLE.parts) * model.DAYS * years for years in YEARS]
    groups = [model.row_groups(WHOLE, years) for years in YEARS]
    rows = []
    for name, counts in (("files", files), ("row groups, each a range of every column", groups)):
        said = [f"{n:,.0f}: ${n * S3.thousand_gets / 1000:.4f}" for n in counts]
        rows.append([name, *said])
    head = [f"{years} year{'s' * (years > 1)}: GET, $" for years in YEARS]
    return table(["`option_tickers`, a GET for each of its", *head], rows)


def workers_table() -> str:
    """Return how long a worker computes all anew, and how many do it in an hour."""
    rows = []
    for options in SIZES:
        for minutes in (60, 1):
            universe = replace(scaled(options), surface_minutes=minutes)
            cells = [f"{options:,}", f"{minutes} min"]
            for years in (1, 5):
                hours = model.hours_on(figures(), universe, COMPUTED, 1, years)
                cells += [_time(hours), str(model.workers_for(hours, WITHIN_H, EFFICIENCY))]
            rows.append(cells)
    head = ["options living at a time", "surfaces every", "1 year, one core", "workers",
            "5 years, one core", "workers"]  # fmt: skip
    return table(head, rows)


def disks_table() -> str:
    """Return how long disks last."""
    rows = []
    for every in CADENCES:
        universe = replace(WHOLE, every=every)
        years = [model.years_on(size * TB, figures(), universe) for size in DISKS_TB]
        rows.append([f"{every} s", *(f"{one:.1f}" for one in years)])
    return table(["a ticker every", *(f"{size} TB" for size in DISKS_TB)], rows)


def units_table() -> str:
    """Return what one of everything takes."""
    rows = [
        [f"{one.layer} `{one.dataset}`", one.of, f"{one.bytes:,.1f}", f"{one.core_us:,.2f}"]
        for one in figures().units
    ]
    return table(["what is made", "of each of the", "bytes", "µs of a core"], rows)


def check_table() -> str:
    """Return what the model said of a lake 1/100 the size of a year, and what was measured."""
    rows = [
        [one["what"], _number(one["predicted"]), _number(one["measured"]), one["unit"],
         f"{one['measured'] / one['predicted'] - 1:+.0%}"]
        for one in told()["check"]["rows"]
    ]  # fmt: skip
    return table(["what", "by the model", "measured", "", "off by"], rows)


def recorded_table() -> str:
    """Return how recorded tickers are packed, beside simulated ones."""
    rows = [
        [one["what"], f"{one['messages']}",
         f"{one['recorded_bytes']:.0f} / {one['simulated_bytes']:.0f}",
         f"{one['recorded_packed']:.0f} / {one['simulated_packed']:.0f}"]
        for one in told()["recorded"]
    ]  # fmt: skip
    return table(["recorded", "messages", "bytes, recorded / simulated", "packed"], rows)


def scaled(options: int) -> Universe:
    """Return the whole chain, with so many options in place of its own."""
    times = options / WHOLE.options
    parts = tuple(
        replace(one, options=round(one.options * times), trades_a_day=one.trades_a_day * times)
        for one in WHOLE.parts
    )
    return replace(WHOLE, parts=parts)


def _called(name: str) -> str:
    layer, _, dataset = name.partition(" ")
    return f"{layer} `{dataset}`" if "_" in dataset else name


def _gb(size: float) -> str:
    found = size / GB
    return f"{found:,.0f}" if found >= 10 else f"{found:.2g}"  # noqa: PLR2004  (digits enough)


def _time(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.2f}"  # noqa: PLR2004


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"  # noqa: PLR2004


TABLES: dict[str, Callable[[], str]] = {
    "bytes": bytes_table, "stream": stream_table, "hours": hours_table, "queries": queries_table,
    "costs": costs_table, "requests": requests_table, "workers": workers_table,
    "disks": disks_table, "units": units_table, "check": check_table, "recorded": recorded_table,
}  # fmt: skip

if __name__ == "__main__":
    main()
