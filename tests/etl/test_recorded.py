"""What Deribit really sent goes through decode, transform, contract and coverage, as when fetched.

`-s` prints every row that fails, with its reason: there is none today.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest

from etl.backfill.fold import fold
from etl.catalog import find_fetched
from etl.deribit.answer import judge
from etl.deribit.request import Request
from etl.instruments.answers import check_filled as check_instruments
from etl.instruments.names import kind_by_name
from etl.proof.protocol import Rules, Terms
from etl.proof.witnesses import Facts, find_gaps
from etl.sources import option_pages, option_trades
from lake.partition import Partition
from lake.span import FOREVER, Span, by_period
from tests.etl.staged import attempt, envelope, lake_of
from validators import contract
from validators.outages import load_outages
from validators.schemas.option_trades import OptionTrades

RECORDED = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded bodies are not here (../shared/data)"
)
NUMBERS = ("open", "high", "low", "close", "volume", "cost")
MINUTES, DAYS = map(find_fetched, ("perpetuals_ohlcv", "perpetuals_ohlcv_1D"))
FUNDING = find_fetched("funding_rates")
END = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp() * 1000)


def snapshots(name, prefix, instrument):
    """Recorded minutes as sent: the instrument, `ticks` and the numbers."""
    frame = pl.read_csv(RECORDED / "candles" / name, infer_schema_length=None)
    numbers = [pl.col(f"{prefix}{one}").cast(pl.Float64).alias(one) for one in NUMBERS]
    instruments = pl.col(instrument).alias("instrument")
    return frame.select(instruments, pl.col(f"{prefix}tick_ms").alias("ticks"), *numbers)


def days():
    frame = pl.read_csv(RECORDED / "candles" / "BTC-PERPETUAL_daily.csv")
    names = {"symbol": "instrument", "unix": "ticks", "base_volume": "cost"}
    return frame.rename(names).select("instrument", "ticks", *NUMBERS)


def chart_body(rows):
    """A page in Deribit's envelope, rebuilt from recorded rows."""
    columns = rows.drop("instrument").to_dict(as_series=False)
    return envelope({"status": "ok", **columns}, usIn=1, usOut=2, usDiff=1, testnet=False)


def funding_rows():
    text = (RECORDED / "funding" / "deribit_btc_funding_hourly.json").read_text()
    return json.loads(text)["data"]


def folds(root, dataset, instrument, body, ticks):
    """Fold one body into every year its rows lie in, as if it had been fetched for each."""
    step = dataset.proof.grid.step_ms
    span = Span(min(ticks), max(ticks) + step)
    terms = Terms(FOREVER, END, Rules(0, 0, load_outages()))
    for year, part in by_period(span, "year").items():
        partition = Partition(dataset.name, instrument, year)
        once = attempt(body, (span.start_ms, span.end_ms), fetched=END)
        lake = lake_of(root, once, dataset=dataset, partition=partition)
        yield fold(lake, dataset, partition, [part], terms)


def through(root, dataset, bodies):
    """Return the rows that came through, and every failed row with its reason."""
    results = [
        one
        for instrument, body, ticks in bodies
        for one in folds(root, dataset, instrument, body, ticks)
    ]
    failed = [row for one in results for row in pl.from_arrow(one.rejected).rows()]
    print(f"{dataset.name}: {len(failed)} recorded rows fail", *failed, sep="\n")  # noqa: T201
    return sum(one.record.rows for one in results), failed


def pages(frame):
    for (instrument,), rows in frame.group_by("instrument", maintain_order=True):
        yield instrument, chart_body(rows), rows["ticks"].to_list()


def perpetual_minutes():
    return snapshots("perpetual_futures_prices.csv", "candle_", "instrument_name")


def future_minutes():
    return snapshots("term_futures_marks.csv", "term_candle_", "futures_instrument_name")


@pytest.mark.parametrize(
    ("frame", "dataset", "rows"),
    [(perpetual_minutes, MINUTES, 838), (future_minutes, MINUTES, 5_854), (days, DAYS, 2_727)],
)
def test_every_recorded_candle_comes_through(tmp_path, frame, dataset, rows):
    recorded = frame()
    distinct = recorded.unique(["instrument", "ticks"]).height

    held, failed = through(tmp_path, dataset, pages(recorded))

    assert failed == []
    assert (recorded.height, held) == (rows, distinct)


def test_the_recorded_days_have_no_hole(tmp_path):
    recorded = days()
    ((instrument, body, ticks),) = pages(recorded)

    for result in folds(tmp_path, DAYS, instrument, body, ticks):
        assert result.record.gaps == ()


def test_every_recorded_funding_row_comes_through_and_its_eleven_holes_are_found(tmp_path):
    recorded = funding_rows()
    ticks = [row["timestamp"] for row in recorded]
    first = datetime(2025, 6, 1, 1, tzinfo=UTC).timestamp() * 1000
    hour = 3_600_000

    results = list(folds(tmp_path, FUNDING, "BTC-PERPETUAL", envelope(recorded), ticks))

    gaps = [gap for one in results for gap in one.record.gaps]
    failed = [row for one in results for row in pl.from_arrow(one.rejected).rows()]
    print(f"funding_rates: {len(failed)} recorded rows fail", *failed, sep="\n")  # noqa: T201
    assert (sum(one.record.rows for one in results), failed) == (8_533, [])
    assert [(gap.start_ms, gap.end_ms) for gap in gaps] == [
        (first + page * 745 * hour, first + (page * 745 + 1) * hour) for page in range(11)
    ]
    assert {gap.reason for gap in gaps} == {"unexplained"}


def test_coverage_alone_finds_the_eleven_funding_holes():
    ticks = pl.Series([row["timestamp"] for row in funding_rows()]).sort().to_numpy()
    facts = Facts(FUNDING.proof.grid, FOREVER, END, 0, lambda _: None)
    span = Span(int(ticks[0]), int(ticks[-1]) + 3_600_000)

    found = find_gaps([span], ticks, ticks[:0], [], facts)

    assert [gap.end_ms - gap.start_ms for gap in found] == [3_600_000] * 11


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("rest_results_2026_09/tradingview_chart.json", DAYS.check),
        ("rest_results_2026_09/funding_rate_history.json", FUNDING.check),
        ("rest_results_2026_09/instruments_future.json", check_instruments),
    ],
)
def test_recorded_results_of_2026_have_the_expected_shape(path, check):
    check(msgspec.Raw((RECORDED / path).read_bytes()))


def test_a_recorded_envelope_decodes_to_its_candles():
    body = (RECORDED / "rest_and_ws_fixtures" / "http_get_tradingview_chart_data.json").read_bytes()
    sent = json.loads(body)["result"]

    page = MINUTES.decode(body)

    assert page["timestamp_ms"].to_list() == sent["ticks"]
    assert page["close"].to_list() == sent["close"]


def test_the_recorded_refusal_is_read_as_one():
    request = Request(MINUTES.method, {}, Span(0, 1), Path(), MINUTES.check)
    body = (RECORDED / "rest_and_ws_fixtures" / "ws_error.json").read_bytes()

    _, error = judge(request, attempt(None), 429, body)

    assert error.code == json.loads(body)["error"]["code"]


def recorded_trades():
    """Every recorded body that has trades, by file, wherever in it they stand."""
    for path in sorted(RECORDED.glob("**/*.json")):
        if "openapi" not in path.parts:
            found = [*_trades_in(json.loads(path.read_bytes()))]
            if found:
                yield path.relative_to(RECORDED).as_posix(), found


def _trades_in(value):
    if isinstance(value, dict):
        if {"trade_seq", "trade_id", "price"} <= value.keys():
            yield value
        for one in value.values():
            yield from _trades_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from _trades_in(one)


@pytest.mark.parametrize(("name", "trades"), [*recorded_trades()] if RECORDED.is_dir() else [])
def test_every_recorded_trade_keeps_every_member_and_its_contract_or_says_why_not(name, trades):
    page = option_pages.decode(envelope({"trades": trades}))
    frame = option_trades.transform(page.with_columns(attempt=0).lazy(), "BTC").collect()
    kept = contract.split(frame.filter(pl.col("refused").is_null()).drop("refused"), OptionTrades)

    others = frame.filter(pl.col("refused").is_not_null())
    for row in others.select("instrument", "refused").iter_rows():
        print(name, *row)  # noqa: T201
    assert set(others["refused"]) <= {"instrument:no_option"}  # perpetuals, futures, combos
    assert kept.rejected.is_empty()
    options = [one for one in trades if kind_by_name(one["instrument_name"]) == "option"]
    assert len(kept.valid) == len(options)
    for sent, row in zip(options, kept.valid.to_dicts(), strict=True):
        held = {"instrument_name": row["instrument"], "timestamp": _ms(row["timestamp"])}
        held |= {"iv": None if row["iv"] is None else round(row["iv"] * 100, 6)}
        read = row | held | json.loads(row["other"] or "{}")
        assert {name: read[name] for name in sent} == sent


def _ms(moment):
    return round(moment.timestamp() * 1000)
