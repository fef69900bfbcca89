"""The page of a surface: what is on it, and that it is alone."""

import json
import re

import numpy as np
import polars as pl
import pytest

from etl.check.smiles import ALONG, smiles_of
from etl.check.surface_page import surface_page
from tests import surfaces
from validators.contract import check_rows
from validators.schemas.vol_slices import VolSlices


@pytest.fixture(scope="module")
def slices():
    return surfaces.slices()


@pytest.fixture(scope="module")
def page(slices):
    return surface_page(slices, surfaces.points(slices), "BTC & <ETH>, from trades")


def markup(page):
    """The page without the library it carries."""
    return re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)


def embedded(page):
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(found)


def cells(page):
    """The cells of the report by day of expiry."""
    rows = re.findall(r"<tr>(<td.*?)</tr>", markup(page))
    told = (re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows)
    return {first: rest for first, *rest in told}


def test_the_slices_of_the_tests_keep_the_contract(slices):
    check_rows(slices, VolSlices)


def test_the_page_asks_for_nothing_from_anywhere(page):
    assert re.findall(r"""(?:src|href)\s*=|url\(|@import|https?:""", markup(page)) == []
    assert "default-src 'none'" in page
    assert "plotly.js v" in page


def test_the_heading_is_escaped_and_data_cannot_end_their_element(slices):
    points = surfaces.points(slices).with_columns(instrument=pl.lit("</script><b>"))
    page = surface_page(slices, points, "BTC & <ETH>")

    assert "<h1>BTC &amp; &lt;ETH&gt;</h1>" in page
    assert embedded(page)[0]["points"]["name"][0] == "</script><b>"


def test_every_expiry_has_a_picture_and_a_row_or_the_reason(page, slices):
    days = [f"{one:%Y-%m-%d}" for one in slices["expiry"]]

    assert len(embedded(page)) == len(days) == 12
    assert list(cells(page)) == days
    assert cells(page)["2025-10-17"][1:6] == ["25", "2", "1", "43.43 ± 0.50", "0.40"]
    assert "few_quotes</span> too few quotes" in cells(page)["2025-11-07"][-1]
    assert cells(page)["2025-11-07"][3:6] == ["-", "-", "-"]


def test_volatilities_are_drawn_in_percent_with_their_interval(slices):
    points = surfaces.points(slices).head(1).with_columns(iv_high=pl.lit(None, pl.Float64))
    (drawn,) = [one for one in embedded(surface_page(slices, points, "x")) if one["points"]["k"]]

    told = points.row(0, named=True)
    assert drawn["points"]["iv"] == [pytest.approx(100 * told["iv"], abs=1e-3)]
    assert drawn["points"]["low"] == [pytest.approx(100 * told["iv_low"], abs=1e-3)]
    assert drawn["points"]["high"] == [None]


def test_what_is_not_fitted_has_no_smile_and_says_why(page):
    bare = [one for one in embedded(page) if not one["smile"]["k"]]

    assert [one["why"] for one in bare] == ["too near to expiry", "too few quotes"]
    assert all(len(one["smile"]["iv"]) == ALONG for one in embedded(page) if not one["why"])


def test_in_space_a_smile_ends_three_standard_deviations_from_the_forward(slices):
    far = surfaces.points(slices).with_columns(pl.col("log_moneyness") * 10)
    told = embedded(surface_page(slices, far, "x"))

    for one, theta in zip(told, slices["theta"], strict=True):
        if theta is not None:
            assert one["sheet"]["k"][0] == pytest.approx(-3 * theta**0.5, abs=1e-5)
            assert one["sheet"]["k"][-1] == pytest.approx(3 * theta**0.5, abs=1e-5)
            assert one["smile"]["k"][0] < one["sheet"]["k"][0]


def test_the_facts_of_the_whole_surface_are_told(page):
    assert "<p>10 of 12 expiries have a smile; 250 trades, RMSE 0.40 points; " in page
    assert "; 11 arbitrages among the quotes, the worst of 2.1 bp of the forward; no smile" in page


def test_a_surface_without_any_smile_is_a_page_all_the_same(slices):
    bare = slices.filter(pl.col("status") != "ok")
    page = surface_page(bare, surfaces.points(bare).clear(), "BTC")

    assert "<p>0 of 2 expiries have a smile; no smile can be arbitraged</p>" in page
    assert len(cells(page)) == 2


def test_a_smile_is_the_same_as_essvi_and_as_raw_svi():
    k = pl.Series("log_moneyness", [-0.3, 0.0, 0.2])
    essvi, svi = (
        smiles_of(frame, frame.select("expiry").join(k.to_frame(), how="cross"))
        for frame in (surfaces.slices(), surfaces.slices(model="svi"))
    )

    np.testing.assert_allclose(essvi["iv"], svi["iv"], rtol=1e-12)


def test_a_smile_passes_through_its_volatility_at_the_forward(slices):
    drawn = smiles_of(slices, surfaces.points(slices).clear())
    for row in slices.filter(pl.col("status") == "ok").iter_rows(named=True):
        mine = drawn.filter(pl.col("expiry") == row["expiry"])
        found = np.interp(0.0, mine["log_moneyness"], mine["iv"])
        assert found == pytest.approx(row["atm_iv"], abs=1e-3)
