"""A year of funding rates as a crawler really recorded it: its holes are found, and heal."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from etl.sources.funding_rates import FUNDING_RATES
from lake import raw
from lake.partition import Partition
from lake.paths import open_lake
from lake.span import Span, by_period
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.etl.staged import attempt, envelope
from tests.exchange.running import running

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "funding"
HOUR_MS = 3_600_000
NAME = "BTC-PERPETUAL"
pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded bodies are not here (../shared/data)"
)


def test_the_eleven_recorded_holes_are_found_and_close_where_a_server_has_the_rows(tmp_path):
    rows = json.loads((RECORDED / "deribit_btc_funding_hourly.json").read_text())["data"]
    ticks = sorted(row["timestamp"] for row in rows)
    absent = sorted(set(range(ticks[0], ticks[-1], HOUR_MS)) - set(ticks))
    now = datetime(2026, 9, 1, tzinfo=UTC)
    with running(limits=False, now=now.isoformat()) as exchange:
        settings = (("DERIBIT_LAKE_CONFIRM_AFTER", "0"),)
        product = InProcess(Product(tmp_path / "lake", exchange.url, settings))
        stage(product.lake, rows, ticks, fetched=round(now.timestamp() * 1000))
        product.run("replay")
        before = product.run("status", "--json", "--dataset", "funding_rates")
        healed = product.run("heal", "--dataset", "funding_rates", "--json")

    (held,) = json.loads(before.stdout)["instruments"]
    (status,) = json.loads(healed.stdout)["instruments"]
    clean = pl.read_parquet(product.lake / "clean" / "funding_rates" / NAME / "*.parquet")
    assert len(absent) == 11
    assert (held["verdict"], held["gaps"]) == ("INCOMPLETE", {"unexplained": 11})
    assert (status["verdict"], status["gaps"]) == ("COMPLETE", {})
    assert clean["timestamp"].dt.epoch("ms").to_list() == list(
        range(ticks[0], ticks[-1] + 1, HOUR_MS)
    )


def stage(root, rows, ticks, fetched):
    """Stage the recorded rows as if each year of them had been one page."""
    lake = open_lake(root, create=True)
    for year, part in by_period(Span(ticks[0], ticks[-1] + HOUR_MS), "year").items():
        page = [row for row in rows if part.start_ms <= row["timestamp"] < part.end_ms]
        once = attempt(envelope(page), (part.start_ms, part.end_ms), fetched=fetched)
        partition = Partition("funding_rates", NAME, year)
        raw.stage([once], FUNDING_RATES.raw_folder(lake, partition))
