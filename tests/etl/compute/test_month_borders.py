"""What is computed month by month does not show where one month ends and the next begins."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from etl.compute.forward_curve import FORWARD_CURVE
from etl.compute.option_iv import OPTION_IV
from etl.compute.run import Ask, compute
from etl.compute.variance_swap import VARIANCE_SWAP
from etl.compute.vol_slices import VOL_SLICES
from etl.instruments.record import Listing
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.read import checksum, scan
from lake.write import publish_table
from tests.priced_trades import NOON, priced
from validators.contract import layout_of
from validators.schemas.option_trades import OptionTrades

MIDNIGHT = datetime(2025, 11, 1, tzinfo=UTC)
EXPIRIES = ("28NOV25", "26DEC25")
RATIOS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)
CHAIN = (FORWARD_CURVE, OPTION_IV, VOL_SLICES, VARIANCE_SWAP)


def chain(hours, ratios=RATIOS):
    """Return a trade of each expiry and strike, some hours after midnight."""
    after = (MIDNIGHT - NOON).total_seconds() + 3_600 * hours
    return [
        {"instrument": f"BTC-{day}-{round(100_000 * ratio)}-{'C' if ratio >= 1 else 'P'}",
         "after": after + n, "iv": 0.5 + 0.4 * (ratio - 1) ** 2, "basis": 0.0,
         "trade_seq": round(100 * (hours + 50)) + n}
        for day in EXPIRIES
        for n, ratio in enumerate(ratios)
    ]  # fmt: skip


HOURS = [-40.4, -39.9, *(each / 2 + 0.1 for each in range(-8, 8))]


def published(root, rows, *, months=("2025-10", "2025-11"), workers=1):
    """Return a lake with what is computed of trades, of the months that are held."""
    lake = open_lake(root, create=True)
    for month, trades in priced(rows).group_by(pl.col("timestamp").dt.strftime("%Y-%m")):
        if month[0] in months:
            hold(lake, month[0], trades.sort("instrument", "timestamp", "trade_seq"))
    made(lake, workers=workers)
    return lake


def hold(lake, month, trades):
    one, table = Partition("option_trades", "BTC", month), arrow(trades)
    publish_table(table, lake.clean(one), **layout_of(OptionTrades))
    moments = trades["timestamp"].dt.epoch("ms")
    write_record(
        lake, one,
        Record(rows=len(trades), checksum=checksum(table), first_ms=moments.min(),
               last_ms=moments.max()),
    )  # fmt: skip


def made(lake, workers=1):
    """Compute all that follows of trades, and return how many partitions of each it took."""
    return {
        one.name: compute(
            lake, one, Listing(0, {}), LogProgress(), Ask(workers=workers)
        ).computed
        for one in CHAIN
    }  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return published(
        tmp_path_factory.mktemp("months") / "lake", [row for h in HOURS for row in chain(h)]
    )


def of(lake, dataset, hours):
    at = MIDNIGHT + timedelta(hours=hours)
    return scan(lake, dataset).filter(pl.col("timestamp") == at).collect()


def test_the_first_surface_of_a_month_is_of_the_last_hour_before_it(lake):
    first = of(lake, "vol_slices", 0)

    assert first["status"].to_list() == ["ok", "ok"]
    assert first["quotes"].to_list() == of(lake, "vol_slices", -1)["quotes"].to_list()
    assert first["forward"].to_list() == pytest.approx([100_000.0] * 2)


def test_each_hour_has_one_surface_in_the_month_it_is_of(lake):
    october, november = (
        pl.read_parquet(lake.derived(Partition("vol_slices", "BTC", month)))
        for month in ("2025-10", "2025-11")
    )

    assert october["timestamp"].max() < MIDNIGHT <= november["timestamp"].min()
    assert scan(lake, "vol_slices").collect().is_duplicated().sum() == 0


def test_a_sparse_hour_early_in_a_month_is_drawn_toward_the_surface_of_the_month_before(tmp_path):
    rows = [row for h in HOURS if h < 0 for row in chain(h)]
    sparse = published(tmp_path / "lake", [*rows, *chain(0.1, (0.95,)), *chain(1.1, (0.95,))])

    early = of(sparse, "vol_slices", 1)

    assert early["status"].to_list() == ["ok", "ok"]
    assert early["quotes"].to_list() == [1, 1]


def test_strikes_listed_in_the_month_before_are_listed_still(lake):
    before, first, next_one = (of(lake, "variance_swap", hours) for hours in (-1, 0, 1))

    assert before["near_strikes"].to_list() == first["near_strikes"].to_list() == [len(RATIOS)]
    assert next_one["next_strikes"].to_list() == [len(RATIOS)]
    assert first["volatility"].to_list() == pytest.approx(before["volatility"].to_list(), abs=1e-3)


def test_a_month_is_computed_again_when_the_one_before_is_revised(tmp_path):
    rows = [row for h in HOURS for row in chain(h)]
    lake = published(tmp_path / "lake", rows)
    assert set(made(lake).values()) == {0}

    october = priced([row for h in HOURS if -3 < h < 0 for row in chain(h)])
    hold(lake, "2025-10", october)
    fresh = published(tmp_path / "fresh", [row for h in HOURS if h > -3 for row in chain(h)])

    assert made(lake)["vol_slices"] == 2
    for one in CHAIN:
        for again in lake.files(one.name):
            there = fresh.root / again.relative_to(lake.root)
            assert again.read_bytes() == there.read_bytes(), again.name


def test_without_the_month_before_a_month_stands_by_itself(tmp_path):
    rows = [row for h in HOURS for row in chain(h)]
    alone = published(tmp_path / "lake", rows, months=("2025-11",))

    assert of(alone, "vol_slices", 0).is_empty()
    assert of(alone, "vol_slices", 2)["status"].to_list() == ["ok", "ok"]


def test_where_one_of_two_expiries_has_few_strikes_that_is_the_reason(tmp_path):
    rows = [row for h in HOURS if h > 0 for row in chain(h)]
    kept = ("-80000-P", "-100000-C", "-120000-C")
    thin = [row for row in rows if "DEC" not in (name := row["instrument"]) or name.endswith(kept)]
    lake = published(tmp_path / "lake", thin)

    told = of(lake, "variance_swap", 2)

    assert of(lake, "vol_slices", 2)["status"].to_list() == ["ok", "ok"]
    assert told.select("status", "near_strikes", "next_strikes").row(0) == (
        "few_strikes", len(RATIOS), None,
    )  # fmt: skip


def test_surfaces_whose_trades_are_no_longer_held_have_no_listed_strike(tmp_path):
    lake = published(tmp_path / "lake", [row for h in HOURS if h > 0 for row in chain(h)])
    for name in ("option_trades", "option_iv"):
        lake.ledger(Partition(name, "BTC", "2025-11")).unlink()

    compute(lake, VARIANCE_SWAP, Listing(0, {}), LogProgress(), Ask(workers=1))

    assert set(scan(lake, "variance_swap").collect()["status"]) == {"few_strikes"}
