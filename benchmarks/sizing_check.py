"""A lake 1/100 the size of a year of one chain, collected and computed, beside what the model says.

``python -m benchmarks.sizing_check FOLDER`` makes it there, which takes half an hour, or uses what
an earlier run made, and keeps both figures in `benchmarks/sizing.json`.
"""

import json
import sys
from pathlib import Path

from benchmarks.greeks import publish_rates
from benchmarks.sizing_lake import (
    DAY_MS,
    SECOND_MS,
    Chain,
    Took,
    bytes_of,
    collect_tickers,
    fold_tickers,
    publish_span,
)
from benchmarks.sizing_model import (
    SECONDS,
    TICKERS,
    Figures,
    Part,
    Universe,
    core_seconds,
    counts_of,
    query_seconds,
)
from benchmarks.sizing_model import bytes_of as bytes_by_model
from benchmarks.sizing_page import MEASURED, figures
from benchmarks.sizing_queries import seconds_of
from benchmarks.sizing_steps import STAGES, steps
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.span import period_span

CURRENCY, MONTH, SHARE = "BTC", "2025-10", 0.01
START_MS = period_span("2025-10-14").start_ms
SPAN_S = round(SECONDS * SHARE)
Rows = list[dict[str, float | str]]


def main(folder: Path) -> None:
    """Make the lake, hold it against the model, and keep what came out."""
    lake, took = open_lake(folder / "lake", create=True), collected(folder)
    trades = publish_span(
        lake, Partition("option_trades", CURRENCY, MONTH), START_MS, START_MS + SPAN_S * SECOND_MS
    )
    publish_rates(lake, 2025)
    universe = universe_of(took, trades)
    steps(lake)  # the first run compiles
    rows = compared(lake, took, universe, figures())
    told = json.loads(MEASURED.read_text(encoding="utf-8"))
    options, messages = universe.options, took.counts["messages"]
    told["check"] = {"options": options, "messages": messages, "trades": trades, "rows": rows}
    MEASURED.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['what']}: {row['predicted']:,.2f} by the model, {row['measured']:,.2f}")


def collected(folder: Path) -> Took:
    """Collect and fold tickers day by day, but the days that are there; return what they took."""
    lake, took = Lake(folder / "lake"), Took()
    for start in range(0, SPAN_S, DAY_MS // SECOND_MS):
        kept = folder / f"took-{start}.json"
        if not kept.exists():
            day, seconds = Took(), min(SPAN_S - start, DAY_MS // SECOND_MS)
            chain = Chain(60, (CURRENCY,))
            collect_tickers(lake, START_MS + start * SECOND_MS, seconds, chain, day)
            fold_tickers(lake, day)
            said = {"counts": day.counts, "seconds": day.seconds}
            kept.write_text(json.dumps(said), encoding="utf-8")
        told = json.loads(kept.read_text(encoding="utf-8"))
        took.counts.update(told["counts"])
        took.seconds.update(told["seconds"])
    return took


def universe_of(took: Took, trades: int) -> Universe:
    """Return what was collected, as the model would have it: as many options, and their trades."""
    options = round(took.counts["messages"] / (SPAN_S / 60))
    return Universe(
        (Part(CURRENCY, options, trades / (SPAN_S * SECOND_MS / DAY_MS), 1),),
        seconds_a_message=60.0,
    )


def compared(lake: Lake, took: Took, universe: Universe, known: Figures) -> Rows:
    """Return what the model says and what was measured: bytes, time of a core, questions."""
    done, sizes = steps(lake)
    rows = []
    by_model = bytes_by_model(known, universe, SHARE)
    measured = {
        f"raw {TICKERS}": bytes_of(lake.root / "raw"),
        **{f"clean {name}": bytes_of(lake.root / "clean" / name)
           for name in (TICKERS, "option_trades")},
        **{f"derived {name}": sizes[name] for name in STAGES},
    }  # fmt: skip
    rows += [_row(name, by_model[name] / 1e6, size / 1e6, "MB") for name, size in measured.items()]
    predicted, found = (sum(float(row[side]) for row in rows) for side in ("predicted", "measured"))
    rows.append(_row("all of these", predicted, found, "MB"))
    by_stage = core_seconds(known, counts_of(universe.parts[0], universe, SHARE))
    spent: dict[str, float] = {
        "collect": took.seconds["journal"] + took.seconds["settle"],
        f"fold {TICKERS}": took.seconds["fold"],
    }
    for name, stage in STAGES.items():
        spent[stage] = spent.get(stage, 0.0) + done.seconds[name]
    rows += [_row(stage, by_stage[stage], seconds, "s of a core")
             for stage, seconds in spent.items()]  # fmt: skip
    asked = seconds_of(lake)
    rows += [
        _row(query.name, query_seconds(known, query, universe, SHARE), asked[query.name],
             "s of a core")
        for query in known.queries
    ]  # fmt: skip
    return rows


def _row(what: str, predicted: float, measured: float, unit: str) -> dict[str, float | str]:
    return {"what": what, "predicted": predicted, "measured": measured, "unit": unit}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
