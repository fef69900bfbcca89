from datetime import UTC, datetime

import pytest

from etl.collect import folding
from etl.instruments.selection import Choice
from lake.errors import CorruptFileError
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.span import Span


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "boundary", "following"),
    [
        ("2025-10-18T01:09:59", "2025-10-17", "2025-10-18T01:10"),
        ("2025-10-18T01:10:00", "2025-10-18", "2025-10-19T01:10"),
        ("2025-10-18T23:59:59", "2025-10-18", "2025-10-19T01:10"),
    ],
)
def test_a_day_is_folded_an_hour_after_it_ended(now, boundary, following):
    assert folding.boundary_ms(ms(now), "01:10") == ms(boundary)
    assert folding.next_ms(ms(now), "01:10") == ms(following)


def test_how_far_a_lake_is_folded_is_kept(tmp_path):
    lake = open_lake(tmp_path, create=True)
    assert folding.read_folded(lake) is None
    folding.write_folded(lake, 123)
    assert folding.read_folded(lake) == 123
    (tmp_path / "live" / "folded.json").write_bytes(b"{}")
    with pytest.raises(CorruptFileError):
        folding.read_folded(lake)


def test_what_ended_or_is_collected_no_more_is_folded_all_the_same():
    asks = [
        folding.Ask("perpetuals_ohlcv", Choice(names=["BTC-PERPETUAL"]), 1, 2),
        folding.Ask("futures_ohlcv", Choice(currencies=["BTC"]), 1, 2),
        folding.Ask("option_trades", Choice(currencies=["BTC"]), 1, 2),
    ]
    held = {
        "perpetuals_ohlcv": ["BTC-PERPETUAL", "GONE_USDC-PERPETUAL"],
        "futures_ohlcv": ["BTC-24OCT25", "ETH-24OCT25"],
        "option_trades": ["BTC-24OCT25-100000-C", "ETH-24OCT25-4000-C", "ETH-24OCT25-4000-P"],
        "funding_rates": ["ETH-PERPETUAL"],
        "index_prices": ["btc_usd"],
    }
    assert folding.asks_beyond(asks, held, 1, 2) == [
        folding.Ask("perpetuals_ohlcv", Choice(names=["GONE_USDC-PERPETUAL"]), 1, 2),
        folding.Ask("futures_ohlcv", Choice(["ETH-24OCT25"], ["ETH"]), 1, 2),
        folding.Ask("option_trades", Choice(currencies=["ETH"]), 1, 2),
        folding.Ask("funding_rates", Choice(names=["ETH-PERPETUAL"]), 1, 2),
    ]


@pytest.mark.parametrize(
    ("ends", "begun"),
    [
        ([], "2025-10-18"),
        (["2025-10-15T07:00"], "2025-10-15"),
        (["2025-10-15T07:00", "2025-10-16T00:00"], "2025-10-16"),
        (["2025-10-19T07:00"], "2025-10-18"),
        (["2024-01-01T00:00"], "2025-10-18"),
    ],
)
def test_a_collector_goes_on_where_a_backfill_ended_within_a_month(tmp_path, ends, begun):
    lake = open_lake(tmp_path, create=True)
    for number, end in enumerate(ends):
        wanted = Record(wanted=(Span(0, ms(end)),))
        write_record(lake, Partition("perpetuals_ohlcv", f"P{number}-PERPETUAL", "2025"), wanted)
    names = ["perpetuals_ohlcv", "funding_rates"]
    assert folding.begun_ms(lake, names, ms("2025-10-18")) == ms(begun)
