"""Curves, surfaces, the volatility index and Greeks on the page of a lake: what they tell."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from etl.check.report import greeks
from etl.check.report.basis import basis
from etl.check.report.dvol import dvol
from etl.check.report.surface import newest, surface
from lake.arrow import arrow
from lake.errors import MissingColumnError
from lake.partition import Partition
from lake.paths import open_lake
from lake.write import publish_table
from tests import greek_tickers, surfaces
from tests.etl.check.report_pages import sections, tables
from validators.schemas.futures_basis import FuturesBasis
from validators.schemas.futures_curve import FuturesCurve
from validators.schemas.variance_swap import VarianceSwap

AT = datetime(2025, 10, 17, 23, 59, tzinfo=UTC)
DAY_MS = 86_400_000


def rows_of(model, rows):
    """Rows with some columns given and the others null, of the types a dataset has."""
    schema = {name: column.dtype.type for name, column in model.to_schema().columns.items()}
    return pl.DataFrame([dict.fromkeys(schema) | row for row in rows], schema=schema)


def publish(lake, frame, dataset, part="BTC", period="2025-10"):
    publish_table(arrow(frame), lake.derived(Partition(dataset, part, period)))


def curve(at, **carries):
    return [
        {"timestamp": at, "underlying": "BTC", "maturity_days": float(days[1:]), "carry": carry,
         "shorter": "BTC-24OCT25", "longer": "BTC-31OCT25",
         "status": "ok" if carry else "no_longer"}
        for days, carry in carries.items()
    ]  # fmt: skip


@pytest.fixture
def lake(tmp_path):
    return open_lake(tmp_path, create=True)


def test_the_newest_curve_is_told_and_drawn(lake):
    before = curve(AT - timedelta(minutes=1), d7=0.99, d30=0.98, d90=0.97)
    publish(lake, rows_of(FuturesCurve, [*before, *curve(AT, d7=0.05, d30=None, d90=0.031)]),
            "futures_curve")  # fmt: skip

    told = basis(lake)

    assert "BTC, 2025-10-17 23:59 UTC: carry" in told
    rows = tables(told)["Constant maturities of BTC"]
    assert [(row["days"], row["carry, %"]) for row in rows] == [
        ("7", "5.00"), ("30", "-"), ("90", "3.10"),
    ]  # fmt: skip
    assert rows[0]["between"] == "BTC-24OCT25 and BTC-31OCT25"
    assert told.count("<circle") == 2  # what has no carry is no point


def test_futures_stand_in_order_of_expiry_with_their_basis(lake):
    rows = [
        {"timestamp": AT, "instrument": name, "future_price": 107_000.5, "days_to_expiry": days,
         "basis": 130.25, "basis_annualised": 0.07, "carry": 0.0695, "status": "ok"}
        for name, days in (("BTC-26DEC25", 69.3), ("BTC-24OCT25", 6.3))
    ]  # fmt: skip
    publish(lake, rows_of(FuturesBasis, rows), "futures_basis")

    found = tables(basis(lake))["Futures on BTC"]

    assert [row["future"] for row in found] == ["BTC-24OCT25", "BTC-26DEC25"]
    assert (found[0]["days"], found[0]["a year, %"], found[0]["carry, %"]) == (
        "6.3",
        "7.00",
        "6.95",
    )


def test_only_the_newest_month_of_a_part_is_read(lake):
    publish(lake, rows_of(FuturesCurve, curve(AT, d7=0.05)), "futures_curve")
    old = lake.derived(Partition("futures_curve", "BTC", "2025-09"))
    publish_table(arrow(pl.DataFrame({"x": [1]})), old)  # lacks all columns: reading it would fail

    assert "5.00" in tables(basis(lake))["Constant maturities of BTC"][0]["carry, %"]


def test_a_column_that_is_missing_is_an_error(lake):
    publish(lake, pl.DataFrame({"timestamp": [AT]}), "futures_curve")

    with pytest.raises(MissingColumnError, match="maturity_days"):
        basis(lake)


def test_what_is_not_held_has_no_section(lake):
    assert [section(lake) for section in (basis, surface, dvol, greeks.greeks)] == [""] * 4


def test_the_newest_surface_of_each_underlying_is_told(lake):
    frame = surfaces.slices()
    before = surfaces.slices(at=surfaces.AT - timedelta(hours=1), level=0.9)
    publish(lake, pl.concat([before, frame]), "vol_slices")
    publish(lake, surfaces.slices(underlying="BTC_USDC"), "vol_slices", part="USDC")

    told = surface(lake)

    assert re.findall(r"<h3>([^<]+)</h3>", told) == [
        "BTC, 2025-10-16 12:00 UTC, trades", "BTC_USDC, 2025-10-16 12:00 UTC, trades",
    ]  # fmt: skip
    rows = tables(told)["Expiries of BTC, 2025-10-16 12:00 UTC, trades"]
    assert len(rows) == len(frame)
    expected = frame.sort("expiry").row(1, named=True)
    assert rows[1]["expiry"] == f"{expected['expiry']:%Y-%m-%d}"
    assert rows[1]["ATM, %"] == f"{100 * expected['atm_iv']:.2f}"
    assert {row["state"] for row in rows} == {"ok", "few quotes", "near expiry"}


def test_the_map_has_the_volatility_of_the_fitted_smiles(lake):
    frame = surfaces.slices()
    publish(lake, frame, "vol_slices")

    rows = tables(surface(lake))["Volatility, %, by standard deviations from the forward"]

    fitted = frame.filter(status="ok").sort("expiry")
    assert [row["expiry"] for row in rows] == [f"{day:%Y-%m-%d}" for day in fitted["expiry"]]
    one = fitted.row(4, named=True)
    theta, rho, psi = one["theta"], one["rho"], one["psi"]
    k = -2 * np.sqrt(theta)
    variance = (theta + rho * psi * k + np.sqrt((psi * k + theta * rho) ** 2 + theta**2 * (1 - rho**2))) / 2  # fmt: skip # noqa: E501
    assert float(rows[4]["-2"]) == pytest.approx(100 * np.sqrt(variance / one["tenor"]), abs=0.06)
    assert float(rows[4]["0"]) == pytest.approx(100 * np.sqrt(theta / one["tenor"]), abs=0.06)


def test_the_shades_of_the_map_reach_from_the_least_to_the_most(lake):
    publish(lake, surfaces.slices(), "vol_slices")

    shades = re.findall(r'class="shade s(\d)">([\d.]+)', surface(lake))

    ordered = sorted((float(iv), int(shade)) for shade, iv in shades)
    assert (ordered[0][1], ordered[-1][1]) == (0, 6)
    assert [shade for _, shade in ordered] == sorted(shade for _, shade in ordered)


def test_a_surface_without_a_smile_is_told_and_not_drawn(lake):
    publish(lake, surfaces.slices().filter(pl.col("status") != "ok"), "vol_slices")

    told = surface(lake)

    assert "<svg" not in told
    assert len(next(iter(tables(told).values()))) == 2


def test_of_one_moment_mids_are_taken_and_what_has_a_smile_before_what_has_none():
    same = [surfaces.slices(source=source) for source in ("trades", "marks", "mids")]
    later = surfaces.slices(at=surfaces.AT + timedelta(hours=1)).filter(pl.col("status") != "ok")

    found = newest(pl.concat([later, *same]))

    assert set(found["timestamp"]) == {surfaces.AT}
    assert set(found["source"]) == {"mids"}


def test_six_smiles_of_many_are_drawn_the_first_and_the_last_among_them(lake):
    frame = surfaces.slices()
    publish(lake, frame, "vol_slices")

    names = re.findall(r"</svg>(\d+ \w+ \d+)</span>", surface(lake))

    fitted = frame.filter(status="ok")["expiry"].sort()
    assert len(names) == 6
    assert (names[0], names[-1]) == tuple(f"{one:%-d %b %Y}" for one in fitted[[0, -1]])


def swaps(days, *, underlying="BTC", dvol_beside=0.5):
    return [
        {"timestamp": AT - timedelta(days=days - one), "underlying": underlying, "source": "trades",
         "volatility": 0.50 + 0.01 * one, "dvol": dvol_beside,
         "difference": None if dvol_beside is None else 0.01 * one, "status": "ok"}
        for one in range(days + 1)
    ]  # fmt: skip


def test_our_volatility_stands_beside_the_index(lake):
    publish(lake, rows_of(VarianceSwap, swaps(4)), "variance_swap")

    told = dvol(lake)

    assert (
        "BTC, from trades: 5 moments, apart by 2.00 points in the median and 4.00 at most." in told
    )
    rows = tables(told)["BTC, from trades, last of each day"]
    assert [(row["day"], row["ours, %"], row["DVOL, %"]) for row in rows[:2]] == [
        ("2025-10-17", "54.00", "50.00"), ("2025-10-16", "53.00", "50.00"),
    ]  # fmt: skip
    assert rows[0]["ours less DVOL"] == "+4.00"


def test_without_an_index_beside_it_ours_is_told_alone(lake):
    publish(lake, rows_of(VarianceSwap, swaps(3, dvol_beside=None)), "variance_swap")

    told = dvol(lake)

    assert "No index is held beside it." in told
    assert tables(told)["BTC, from trades, last of each day"][0]["DVOL, %"] == "-"


def test_only_the_last_month_of_the_index_is_told_and_a_chart_is_thinned(lake):
    hours = [
        {"timestamp": AT - timedelta(hours=one), "underlying": "BTC", "source": "trades",
         "volatility": 0.5, "dvol": 0.5, "difference": 0.0, "status": "ok"}
        for one in range(45 * 24)
    ]  # fmt: skip
    publish(lake, rows_of(VarianceSwap, hours).sort("timestamp"), "variance_swap")

    told = dvol(lake)

    assert "721 moments" in told
    lines = re.findall(r'class="curve c\d" d="(M[^"]+)"', told)
    assert 100 < max(line.count("L") for line in lines) < 240


def test_greeks_are_compared_on_the_newest_day(lake):
    day = greek_tickers.DAY_MS
    greek_tickers.publish(lake, "BTC", 1_760_572_800_000, days=1, every_hours=12)
    greek_tickers.publish(lake, "BTC", 1_760_572_800_000 + day, days=1, every_hours=12)

    told = greeks.greeks(lake)

    assert sections(told) == ["greeks"]
    assert '<span class="good">PASS</span>' in told
    rows = tables(told)["Errors by quantity, in its own unit"]
    assert {row["quantity"] for row in rows} == {
        "delta", "gamma", "mark price", "rho", "theta", "vega",
    }  # fmt: skip
    assert {row["outside"] for row in rows} == {"0"}
    assert "2025-10-17 12:00 UTC" in told


def test_greeks_of_another_convention_fail_and_the_worst_is_named(lake):
    wrong = greek_tickers.WRONG["a year of 365.25 days"]
    greek_tickers.publish(lake, "BTC", 1_760_572_800_000, days=1, every_hours=12, wrong=wrong)

    told = greeks.greeks(lake)

    assert '<span class="bad">FAIL</span>' in told
    assert re.search(r"\d+ of \d+ buckets fail; the worst: ", told)


def test_of_a_day_with_very_many_tickers_the_last_hour_is_compared(lake, monkeypatch):
    greek_tickers.publish(lake, "BTC", 1_760_572_800_000, days=1, every_hours=12)
    both = greeks.greeks(lake)

    monkeypatch.setattr(greeks, "MOST_ROWS", 100)
    one = greeks.greeks(lake)

    counts = [
        int(re.search(r"<p>([\d,]+) tickers", told)[1].replace(",", "")) for told in (both, one)
    ]
    assert counts[0] == pytest.approx(2 * counts[1], rel=0.1)
