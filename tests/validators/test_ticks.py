from datetime import UTC, datetime
from itertools import pairwise

import polars as pl
import pytest

from validators.errors import ReviewedFileError
from validators.ticks import BEGINNING, END, is_on_tick, load_tick_sizes, tick_at, tick_spans


def tick(instrument, time, default=None):
    frame = pl.DataFrame({"timestamp": [datetime.fromisoformat(time).replace(tzinfo=UTC)]})
    return frame.select(tick_at(instrument, load_tick_sizes(), default=default)).item()


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2018-08-14 00:00", 0.5),
        ("2019-01-30 07:59", 0.5),
        ("2019-01-30 08:00", 0.25),
        ("2019-06-08 07:59", 0.25),
        ("2019-06-08 08:00", 0.5),
        ("2026-01-01 00:00", 0.5),
    ],
)
def test_bitcoin_printed_quarters_in_early_2019(time, expected):
    assert tick("BTC-PERPETUAL", time) == expected


def test_an_instrument_not_reviewed_has_the_tick_of_its_record():
    assert tick("BTC-27DEC24", "2024-01-01 00:00", default=2.5) == 2.5
    assert tick("BTC-27DEC24", "2024-01-01 00:00") is None


@pytest.mark.parametrize(
    ("instrument", "time", "expected"),
    [
        ("SOL_USDC-PERPETUAL", "2024-01-01 00:00", None),
        ("SOL_USDC-PERPETUAL", "2026-04-28 08:59", 0.01),
        ("SOL_USDC-PERPETUAL", "2026-04-28 09:00", 0.001),
        ("BNB_USDC-PERPETUAL", "2026-04-28 08:59", 0.05),
        ("BNB_USDC-PERPETUAL", "2026-08-18 08:59", 0.01),
        ("BNB_USDC-PERPETUAL", "2026-08-18 09:00", None),
        ("BTC_USDC-PERPETUAL", "2026-08-18 23:59", None),
        ("BTC_USDC-PERPETUAL", "2026-08-19 00:00", 0.1),
        ("1000PEPE_USDC-PERPETUAL", "2026-11-01 00:00", 0.1),
    ],
)
def test_the_record_of_today_judges_no_linear_perpetual_of_another_grid(instrument, time, expected):
    assert tick(instrument, time, default=0.1) == expected


def test_a_price_without_a_known_grid_is_not_judged():
    frame = pl.DataFrame({"price": [100.0123], "tick": [None]}, schema_overrides={"tick": float})

    assert frame.select(is_on_tick("price")).item() is None


@pytest.mark.parametrize("step", [0.5, 0.25, 0.05, 0.001, 0.0001])
def test_no_multiple_of_a_tick_is_a_false_alarm(step):
    ticks = pl.int_range(1, 2_000_000, 17, eager=True)
    sums = (ticks * round(step * 10_000)).cast(pl.Float64) / 10_000
    frame = pl.DataFrame({"product": ticks * step, "sum": sums, "tick": step})

    assert frame.select(pl.all_horizontal(is_on_tick("product"), is_on_tick("sum")).all()).item()


def test_a_price_between_two_ticks_is_off():
    frame = pl.DataFrame({"price": [100.05, 100.01, 100.0500004], "tick": [0.05, 0.05, 0.05]})

    assert frame.select(is_on_tick("price")).to_series().to_list() == [True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[tick_size]]\ninstrument = 'X'\nsource = 's'", "is no tick size"),
        ("[[tick_size]]\ninstrument = 'X'\nsource = 's'\ntick = 0.0", "has tick 0.0"),
        ("[[tick_size]]\ninstrument = 'X'\nsource = 's'\ntick = 'none'", "has tick 'none', expect"),
        ("nothing = 1", "cannot be read"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(tmp_path, text, message):
    path = tmp_path / "ticks.toml"
    path.write_text(text)

    with pytest.raises(ReviewedFileError, match=message):
        load_tick_sizes(path)


def test_the_spans_of_a_tick_cover_all_time_and_say_what_single_rows_do():
    spans = tick_spans("BTC-PERPETUAL", load_tick_sizes(), default=None)

    assert [tick for _, _, tick in spans] == [0.5, 0.25, 0.5]
    assert (spans[0][0], spans[-1][1]) == (BEGINNING, END)
    assert all(end == start for (_, end, _), (start, _, _) in pairwise(spans))


def test_an_instrument_not_reviewed_has_one_span():
    assert tick_spans("X-PERPETUAL", load_tick_sizes(), default=0.1) == [(BEGINNING, END, 0.1)]
