"""Candles of options: the trades of the book, and flat ones between them."""

import polars as pl
import pytest

from tests.exchange.incidents import milliseconds

MINUTE_MS, DAY_MS = 60_000, 86_400_000
OPTION = "BTC-27JUN25-100000-C"
EXPIRES = milliseconds("2025-06-27T08:00")
START = milliseconds("2025-06-25T00:00")


def chart(client, start, end, resolution="1", name=OPTION, host="/history/api/v2"):
    params = {"instrument_name": name, "start_timestamp": start, "end_timestamp": end}
    path = f"{host}/public/get_tradingview_chart_data"
    answer = client.send("GET", path, params=params | {"resolution": resolution})
    return answer.json()["result"]


@pytest.fixture(scope="module")
def book(quiet):
    """The trades of one option on the book, over its whole life."""
    trades = quiet.option_trades("BTC", milliseconds("2024-06-28"), EXPIRES)
    special = pl.col("block_trade_id").is_not_null() | pl.col("combo_id").is_not_null()
    return trades.filter((pl.col("instrument_name") == OPTION) & ~special)


@pytest.mark.parametrize(("resolution", "minutes"), [("1", 1), ("60", 60), ("1D", 1_440)])
def test_bars_are_the_aggregate_of_trades_and_fillers_repeat_the_close(
    opened, book, resolution, minutes
):
    length = minutes * MINUTE_MS
    answer = chart(opened(), START - 40 * DAY_MS, EXPIRES, resolution)
    bars = pl.DataFrame({name: answer[name] for name in answer if name != "status"})
    offset = 8 * 60 * MINUTE_MS % length
    opens = (book["timestamp"] - offset) // length * length + offset
    expected = book.with_columns(ticks=opens).group_by("ticks").agg(
        open=pl.col("price").first(), high=pl.col("price").max(), low=pl.col("price").min(),
        close=pl.col("price").last(), volume=pl.col("amount").sum().round(8),
        cost=(pl.col("price") * pl.col("amount")).sum().round(8),
    )  # fmt: skip
    traded = bars.filter(pl.col("volume") > 0)
    fillers = bars.with_columns(before=pl.col("close").shift()).filter(pl.col("volume") == 0)[1:]

    assert traded.height > 0
    assert traded.join(expected, on=traded.columns, how="anti").height == 0
    assert traded.height == expected.filter(pl.col("ticks") >= bars["ticks"][0]).height
    for column in ("open", "high", "low", "close"):
        assert (fillers[column] == fillers["before"]).all()
    assert (fillers["cost"] == 0).all()
    assert (bars["ticks"].diff().drop_nulls() == length).all()


def test_bars_end_with_the_option_and_begin_with_its_first_trade(opened, book):
    client = opened()
    late = chart(client, EXPIRES - 10 * MINUTE_MS, EXPIRES + DAY_MS)
    early = chart(client, milliseconds("2024-06-28"), book["timestamp"][0] + 3 * MINUTE_MS)

    assert late["ticks"][-1] == EXPIRES - MINUTE_MS
    assert len(late["ticks"]) == 10
    assert early["ticks"][0] == book["timestamp"][0] // MINUTE_MS * MINUTE_MS


def test_of_too_many_bars_the_newest_5001_are_served(opened):
    answer = chart(opened(), EXPIRES - 20 * DAY_MS, EXPIRES)

    assert len(answer["ticks"]) == 5_001
    assert answer["ticks"][-1] == EXPIRES - MINUTE_MS


def test_a_window_without_bars_is_no_data(opened):
    answer = chart(opened(), EXPIRES, EXPIRES + DAY_MS)

    assert answer.pop("status") == "no_data"
    assert not any(answer.values())
