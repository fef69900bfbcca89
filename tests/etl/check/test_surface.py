"""Surfaces that are held: found by their moment, with what they were made of."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from etl.check.surface import POINTS, surface_at
from etl.errors import UsageError
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import Lake
from lake.write import publish_table
from quant.black76 import with_price_and_greeks
from tests import surfaces
from tests.surfaces import AT
from validators.schemas.option_iv import OptionIv
from validators.schemas.option_tickers import OptionTickers

AT_MS = int(AT.timestamp() * 1000)
SNAPSHOT = AT + timedelta(seconds=20)


def shaped(rows, model):
    """Return rows as a dataset has them, null where nothing is said."""
    schema = {name: column.dtype.type for name, column in model.to_schema().columns.items()}
    return pl.DataFrame([dict.fromkeys(schema) | row for row in rows], schema=schema)


def trade(minutes, name="BTC-31OCT25-110000-C", **more):
    row = {
        "timestamp": AT - timedelta(minutes=minutes),
        "instrument": name,
        "forward": 108_000.0,
        "iv": 0.45,
        "iv_low": 0.44,
        "iv_high": 0.46,
        "status": "ok",
        "is_block": False,
        "is_rfq": False,
        "is_combo": False,
        "is_liquidation": False,
        "is_near_expiry": False,
    }
    return row | more


def quote(strike, option_type, iv=0.45):
    """A quote whose bid and ask are worth a point of volatility less and more."""
    expiry = surfaces.expiry(15)
    row = {
        "timestamp": SNAPSHOT,
        "instrument": f"BTC-31OCT25-{strike}-{option_type[0].upper()}",
        "underlying": "BTC",
        "expiry": expiry,
        "strike": float(strike),
        "option_type": option_type,
        "underlying_price": 108_000.0,
        "mark_iv": iv,
    }
    tenor = (expiry - SNAPSHOT) / timedelta(days=365)
    for side, off in (("bid", -0.01), ("ask", 0.01)):
        priced = with_price_and_greeks(
            pl.DataFrame([row]).with_columns(
                forward=pl.lit(108_000.0), tenor=pl.lit(tenor), iv=pl.lit(iv + off),
                instrument_type=pl.lit("reversed"),
            )
        )  # fmt: skip
        row[f"{side}_price"] = priced["model_price"][0]
    return row


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    slices = [surfaces.slices(at=AT + timedelta(hours=hours)) for hours in (-2, 0, 3)]
    slices += [surfaces.slices(source=one, at=SNAPSHOT) for one in ("mids", "marks")]
    slices = pl.concat(slices).with_columns(forward=pl.col("forward") * 0 + 108_000.0)
    traded = [
        trade(59),
        trade(30, "BTC-31OCT25-100000-P"),
        trade(61),
        trade(0),
        trade(10, is_block=True),
        trade(10, iv=None, status="no_forward"),
        trade(10, "ETH-31OCT25-4000-C"),
    ]
    quoted = [quote(strike, side) for strike in (100_000, 116_000) for side in ("call", "put")]
    frames = {
        Partition("vol_slices", "BTC", "2025-10"): slices,
        Partition("option_iv", "BTC", "2025-10"): shaped(traded, OptionIv),
    }
    for partition, frame in frames.items():
        publish_table(arrow(frame), lake.derived(partition))
    tickers = Partition("option_tickers", "BTC", "2025-10-16")
    publish_table(arrow(shaped(quoted, OptionTickers)), lake.clean(tickers))
    return lake


def test_a_surface_of_trades_has_those_of_the_hour_before_that_may_shape_it(lake):
    found = surface_at(lake, "BTC", AT_MS, "trades")

    assert found.heading == "BTC, 2025-10-16 12:00 UTC, from trades"
    assert (len(found.slices), found.slices["timestamp"].unique().to_list()) == (12, [AT])
    assert tuple(found.points.columns) == POINTS
    assert found.points["instrument"].to_list() == ["BTC-31OCT25-100000-P", "BTC-31OCT25-110000-C"]
    expected = np.log([100_000 / 108_000, 110_000 / 108_000])
    np.testing.assert_allclose(found.points["log_moneyness"], expected)
    assert found.points["expiry"].to_list() == [surfaces.expiry(15)] * 2


@pytest.mark.parametrize(
    ("options", "minutes"),
    [({"every": 15.0}, [10]), ({"every": 240.0}, [30, 59]), ({"blocks": 1.0}, [10, 10, 30, 59])],
)
def test_the_points_are_those_the_surface_was_told_to_take(tmp_path, options, minutes):
    lake = Lake(tmp_path)
    partition = Partition("vol_slices", "BTC", "2025-10")
    traded = [trade(59), trade(30), trade(61), trade(10, is_block=True)]
    traded += [trade(10)] if "every" in options and options["every"] < 60 else []
    traded += [trade(10, "BTC-31OCT25-100000-P")] if "blocks" in options else []
    publish_table(arrow(surfaces.slices(at=AT)), lake.derived(partition))
    write_record(lake, partition, Record(rows=12, version=1, options=options))
    vols = shaped(traded, OptionIv)
    publish_table(arrow(vols), lake.derived(Partition("option_iv", "BTC", "2025-10")))

    found = surface_at(lake, "BTC", AT_MS, "trades")

    assert len(found.points) == len(minutes)


def test_a_surface_of_mids_has_what_is_quoted_out_of_the_money_from_bid_to_ask(lake):
    points = surface_at(lake, "BTC", AT_MS, "mids").points

    assert points["instrument"].to_list() == ["BTC-31OCT25-100000-P", "BTC-31OCT25-116000-C"]
    np.testing.assert_allclose(points["iv_low"], 0.44, atol=1e-9)
    np.testing.assert_allclose(points["iv_high"], 0.46, atol=1e-9)
    np.testing.assert_allclose(points["iv"], 0.45, atol=1e-3)


def test_a_surface_of_marks_has_their_volatilities_without_error(lake):
    points = surface_at(lake, "BTC", AT_MS, "marks").points

    assert points["iv"].to_list() == [0.45, 0.45]
    assert points["iv_low"].null_count() == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("BTC", 3_600_000, "trades"),
         "from trades at 2025-10-16 13:00; nearest: 2025-10-16 12:00, 2025-10-16 15:00"),
        (("BTC", -86_400_000, "trades"), "at 2025-10-15 12:00; nearest: 2025-10-16 10:00"),
        (("BTC", 60_000, "mids"), "at 2025-10-16 12:01; nearest: 2025-10-16 12:00"),
        (("DOGE", 0, "trades"), "no surface of 'DOGE'; there are: BTC"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_one_line_naming_what_is(lake, words, message):
    underlying, after, source = words
    with pytest.raises(UsageError, match=message):
        surface_at(lake, underlying, AT_MS + after, source)


def test_a_source_without_surfaces_names_those_that_have_some(tmp_path):
    lake = Lake(tmp_path)
    path = lake.derived(Partition("vol_slices", "BTC", "2025-10"))
    publish_table(arrow(surfaces.slices()), path)

    with pytest.raises(UsageError, match="of BTC from marks; there are some from: trades"):
        surface_at(lake, "BTC", AT_MS, "marks")


def test_a_lake_without_surfaces_says_what_to_run(tmp_path):
    with pytest.raises(UsageError, match="no surface yet: run `deribit-lake compute vol_slices`"):
        surface_at(Lake(tmp_path), "BTC", AT_MS, "trades")


def test_where_trades_are_no_longer_held_the_smiles_are_there_without_points(tmp_path):
    lake = Lake(tmp_path)
    path = lake.derived(Partition("vol_slices", "BTC", "2025-10"))
    publish_table(arrow(surfaces.slices()), path)

    assert surface_at(lake, "BTC", AT_MS, "trades").points.is_empty()
