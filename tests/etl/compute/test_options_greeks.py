"""Greeks of option candles: of the minute's last trade, with the rate that was known then."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from etl.compute.forward_curve import COLUMNS as WITNESSED
from etl.compute.forward_curve import curve_of
from etl.compute.option_iv import COLUMNS as TRADED
from etl.compute.option_iv import vols_of
from etl.compute.options_greeks import COLUMNS, greeks_of, tasks
from etl.compute.options_ohlcv import COLUMNS as FOR_CANDLES
from etl.compute.options_ohlcv import candles_of
from etl.instruments.names import with_name_parts
from etl.instruments.record import Listing
from lake.ledger import Record
from lake.partition import Partition
from lake.span import Span
from quant.black76 import GREEKS, with_price_and_greeks
from tests.etl.compute.test_option_iv import BACK, BEFORE, FRONT, HOUR, coded, trade
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.priced_trades import NOON, SCHEMA, moment, priced
from validators.contract import check_rows
from validators.schemas.options_greeks import DISCOUNTED, EXCHANGE, IN_COIN, OptionsGreeks
from validators.schemas.treasury_bills import TENORS, TreasuryBills

MIDNIGHT = NOON.replace(hour=0)
LINEAR = "BTC_USDC-31OCT25-100000-C"


def bills(*days_ago, rate=0.04, published=None, **tenors):
    """Return curves of days before the trades, flat but for some tenors."""
    rows = [
        {
            "timestamp": MIDNIGHT - timedelta(days=days),
            "published_on": MIDNIGHT - timedelta(days=(published or days)),
            **dict.fromkeys(TENORS, rate + days / 1e4), **tenors,
        }
        for days in sorted(days_ago, reverse=True)
    ]  # fmt: skip
    schema = {name: column.dtype.type for name, column in TreasuryBills.to_schema().columns.items()}
    kinds = {name: schema[name] for name in ("timestamp", "published_on", *TENORS)}
    return pl.DataFrame(rows, schema=kinds)


def vols(rows, **options):
    trades = priced(rows)
    curve = curve_of([coded(trades, WITNESSED)], [], HOUR)
    return vols_of(coded(trades, TRADED), curve, **options)


def greeks(rows, rates=None, **options):
    made = greeks_of(_coded(vols(rows)), bills(1) if rates is None else rates, **options)
    check_rows(_text(made), OptionsGreeks)
    return _text(made)


def _coded(made):
    table = _text(made).select(COLUMNS).to_arrow(compat_level=pl.CompatLevel.oldest())
    for name in ("instrument", "forward_source", "status"):
        at = table.column_names.index(name)
        table = table.set_column(at, name, table[name].cast("string").dictionary_encode())
    return table.unify_dictionaries()


def _text(frame):
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def last(made, name=FRONT):
    return made.filter(pl.col("instrument") == name).row(-1, named=True)


def test_a_row_is_of_the_last_trade_of_its_minute():
    rows = [*BEFORE, trade(FRONT, 61, iv=0.4), trade(FRONT, 90.5, iv=0.45), trade(FRONT, 121)]

    found = greeks(rows)

    assert found["timestamp"].to_list() == [moment(0), moment(60), moment(120)]
    assert found["close_timestamp"].to_list() == [moment(15), moment(90.5), moment(121)]
    middle = found.row(1, named=True)
    assert middle["iv"] == pytest.approx(0.45, abs=1e-5)
    left = datetime(2025, 10, 31, 8, tzinfo=UTC) - moment(90.5)
    assert middle["tenor"] == pytest.approx(left / timedelta(days=365), rel=1e-15)


def test_of_two_trades_in_one_millisecond_the_later_number_is_the_last():
    found = last(greeks([*BEFORE, trade(FRONT, 61, iv=0.4), trade(FRONT, 61, iv=0.5)]))

    assert found["iv"] == pytest.approx(0.5, abs=1e-5)


def test_an_agreed_price_is_no_minutes_last_unless_blocks_are_taken_in():
    rows = [*BEFORE, trade(FRONT, 61, iv=0.4), trade(FRONT, 62, iv=0.5, block_trade_id="B")]
    rows.append(trade(BACK, 61, combo_id="BTC-CS-26DEC25-1_2"))

    assert last(greeks(rows))["iv"] == pytest.approx(0.4, abs=1e-5)
    assert BACK not in greeks(rows)["instrument"]
    assert last(greeks(rows, with_blocks=True))["iv"] == pytest.approx(0.5, abs=1e-5)
    assert BACK in greeks(rows, with_blocks=True)["instrument"]


@pytest.mark.parametrize("with_blocks", [False, True])
def test_there_is_a_row_for_every_candle_and_for_no_other_minute(with_blocks):
    start, end = milliseconds("2025-10-16"), milliseconds("2025-10-16T06:00")
    trades = _simulated("BTC", start, end)
    curve = curve_of([coded(trades, WITNESSED)], [], Span(start, end))
    made = _text(greeks_of(
        _coded(vols_of(coded(trades, TRADED), curve)), bills(1), with_blocks=with_blocks
    ))  # fmt: skip

    candles = _text(candles_of(coded(trades, FOR_CANDLES), with_blocks=with_blocks))
    key = ["instrument", "timestamp"]
    assert made.select(key).equals(candles.select(key))
    assert made["price"].equals(candles["close"].alias("price"))
    assert made["index_price"].equals(candles["index_price"])
    assert (made["status"] == "ok").mean() > 0.9


def _simulated(currency, start, end):
    market = Market(7, milliseconds("2025-12-01"))
    sent = market.option_trades(currency, start, end).rename({"instrument_name": "instrument"})
    return sent.with_columns(
        pl.col("timestamp").mul(1000).cast(pl.Datetime("us", "UTC")),
        (pl.col("iv") / 100).round(10), pl.col("block_rfq_id").cast(pl.String),
        other=pl.lit(None, pl.String),
    ).select(*SCHEMA).sort("instrument", "timestamp", "trade_seq")  # fmt: skip


def test_greeks_are_those_of_the_exchanges_convention():
    found = greeks([*BEFORE, trade(FRONT, 61, iv=0.4321), trade(LINEAR, 20), trade(LINEAR, 62)])
    ok = with_name_parts(found.filter(status="ok"))
    kind = pl.when(pl.col("counter").is_null()).then(pl.lit("reversed"))
    again = with_price_and_greeks(ok.with_columns(instrument_type=kind.otherwise(pl.lit("linear"))))

    assert {*ok["underlying"]} == {"BTC", "BTC_USDC"}
    for name in GREEKS:
        assert again[name].equals(ok[name]), name
    paid = ok.select(
        pl.when(pl.col("counter").is_null()).then(pl.col("price") * pl.col("forward"))
        .otherwise("price")
    ).to_series()  # fmt: skip
    discount = np.exp(-ok["rate"] * ok["tenor"])
    assert ok["price_disc"].to_numpy() == pytest.approx((paid * discount).to_numpy(), rel=1e-9)


def test_net_delta_is_delta_less_the_premium_and_what_pays_dollars_has_none():
    found = greeks([*BEFORE, trade(FRONT, 61), trade(LINEAR, 20), trade(LINEAR, 62)])
    coin, dollar = last(found), last(found, LINEAR)

    assert coin["net_delta"] == pytest.approx(coin["delta"] - coin["price"], abs=1e-12)
    assert dollar["status"] == "ok"
    assert {dollar[name] for name in IN_COIN} == {None}


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (trade(FRONT, 61, price=1.1), "above_maximum"),
        (trade("BTC-31OCT25-50000-C", 61, price=0.3), "below_intrinsic"),
        (trade("BTC-16OCT25-100000-C", 61, price=0.01), "expired"),
        (trade("BTC-16OCT25-100000-C", -4 * 3_600, price=0.01), "expired"),  # to the millisecond
    ],
)
def test_a_trade_without_a_volatility_has_no_greeks_and_its_reason(row, status):
    found = last(greeks([*BEFORE, row]), row["instrument"])

    assert found["status"] == status
    assert {found[name] for name in ("iv", *EXCHANGE, *IN_COIN, *DISCOUNTED)} == {None}
    assert found["rate"] is not None
    assert (found["coin_rate"] is None) == (status == "expired")
    assert (found["tenor"] <= 0) == (status == "expired")


def test_a_rate_is_that_of_the_day_before_at_the_options_own_tenor():
    rates = bills(0, 1, 2, rate_1m=0.03, rate_1_5m=None, rate_2m=0.04, rate_3m=0.06)
    found = greeks([*BEFORE, trade(FRONT, 61), trade(BACK, 30), trade(BACK, 62)], rates)
    short, long = last(found), last(found, BACK)

    assert short["rate"] == 0.03  # 15 days: flat below the shortest
    share = (long["tenor"] - 2 / 12) / (1 / 12)
    assert long["rate"] == pytest.approx(0.04 + share * 0.02, rel=1e-12)
    assert (short["rate_age"], short["rate_status"]) == (1, "ok")
    one = greeks([*BEFORE, trade(FRONT, 61)], bills(0, 1, 2))
    assert last(one)["rate"] == pytest.approx(0.04 + 1 / 1e4)


def test_a_curve_of_the_trades_own_day_is_not_known_yet():
    found = last(greeks([*BEFORE, trade(FRONT, 61)], bills(0)))

    assert (found["rate"], found["rate_age"], found["rate_status"]) == (None, None, "none")
    assert {found[name] for name in (*DISCOUNTED, "coin_rate")} == {None}
    assert found["delta"] is not None


@pytest.mark.parametrize(
    ("published", "status", "has_rate"),
    [(1, "ok", True), (2, "carried", True), (7, "carried", True), (8, "too_old", False)],
)
def test_a_rate_is_carried_a_week_and_then_it_is_too_old(published, status, has_rate):
    by_row = bills(*range(1, published + 1), published=published)
    ends_early = bills(published)

    for rates in (by_row, ends_early):
        found = last(greeks([*BEFORE, trade(FRONT, 61)], rates))
        assert (found["rate_status"], found["rate_age"]) == (status, published)
        assert (found["rate"] is not None) == has_rate
        assert (found["price_disc"] is not None) == has_rate


def test_how_long_a_rate_is_carried_can_be_told():
    found = last(greeks([*BEFORE, trade(FRONT, 61)], bills(3), oldest=2))

    assert found["rate_status"] == "too_old"


def test_without_any_rates_there_are_the_exchanges_greeks():
    found = last(greeks([*BEFORE, trade(FRONT, 61)], bills()))

    assert found["rate_status"] == "none"
    assert found["vega"] > 0


def test_a_month_without_trades_that_count_has_no_rows():
    found = greeks([trade(FRONT, 5 * n, block_trade_id="B") for n in range(3)])

    assert found.is_empty()
    assert found.columns == [*OptionsGreeks.to_schema().columns]


@pytest.mark.parametrize(
    ("month", "rate_age", "years"),
    [
        ("2025-01", 7.0, ["2024", "2025"]),
        ("2025-02", 7.0, ["2025"]),
        ("2025-02", 40.0, ["2024", "2025"]),
        ("2024-12", 7.0, ["2024"]),
        ("2026-03", 7.0, []),
    ],
)
def test_a_month_is_made_from_the_years_its_rates_may_be_of(month, rate_age, years):
    vols = Partition("option_iv", "BTC", month)
    held = {Partition("treasury_bills", "USD", year): Record(rows=365) for year in ("2024", "2025")}
    options = {"blocks": 0.0, "rate_age": rate_age}

    (task,) = tasks({vols: Record(rows=1)} | held, Listing(0, {}), options)

    assert [one.period for one in task.inputs] == [month, *years]
    assert task.partition == Partition("options_greeks", "BTC", month)


def test_a_month_without_volatilities_or_a_year_without_rates_is_none():
    held = {
        Partition("option_iv", "BTC", "2025-01"): Record(),
        Partition("option_iv", "BTC", "2025-02"): Record(rows=1),
        Partition("treasury_bills", "USD", "2025"): Record(),
    }

    (task,) = tasks(held, Listing(0, {}), {"blocks": 0.0, "rate_age": 7.0})

    assert task.inputs == (Partition("option_iv", "BTC", "2025-02"),)
