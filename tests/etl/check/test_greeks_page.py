"""The page of a comparison of Greeks: what is on it, and that it is alone."""

import json
import re

import polars as pl
import pytest

from etl.check.greeks import PAGE
from etl.check.greeks_page import DRAWN, greeks_page, write_page
from tests import greek_tickers
from tests.etl.check.test_greeks import lake_of, report
from validators.greeks.quotes import QUANTITIES

OLD = greek_tickers.WRONG["Greeks 20 s old"]


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return report(lake_of(tmp_path_factory.mktemp("page"), days=1)[0])


@pytest.fixture(scope="module")
def page(right):
    return greeks_page(right)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    return greeks_page(report(lake_of(tmp_path_factory.mktemp("page"), OLD)[0]))


def markup(page):
    """The page without the library it carries."""
    return re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)


def embedded(page):
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(found)


def test_the_page_asks_for_nothing_from_anywhere(page):
    assert re.findall(r"""(?:src|href)\s*=|url\(|@import|https?:""", markup(page)) == []
    assert "default-src 'none'" in page
    assert "plotly.js v" in page


def test_every_bucket_has_a_cell_with_its_rows_and_the_colour_of_its_verdict(page, right):
    cells = re.findall(r'<td class="(pass|fail|few)">([\d,]+)</td>', markup(page))
    buckets = right.table.group_by("source", "moneyness", "days").agg(pl.max("rows"))

    assert len(cells) == len(buckets) > 40
    assert (
        sorted(int(text.replace(",", "")) for _, text in cells) == buckets["rows"].sort().to_list()
    )
    assert "PASS</span>" in page


def test_a_bucket_that_fails_names_its_quantities(wrong):
    failed = re.findall(r'<td class="fail">(.*?)</td>', markup(wrong))

    assert any("rho" in text for text in failed)
    assert '<span class="bad">FAIL</span>' in wrong


def test_what_the_exchange_s_side_may_have_done_is_told_first(wrong):
    notes = re.findall(r"<li>(.*?)</li>", markup(wrong))

    assert re.match(
        "BTC: the exchange&#x27;s Greeks are 20.0 ± 0.. s older than their ticker", notes[0]
    )
    assert notes[1].startswith("BTC: the exchange&#x27;s side agrees with Greeks 20 s old: median")


def test_points_and_histograms_of_every_quantity_are_drawn(page):
    (drawn,) = embedded(page)

    assert drawn["underlying"] == "BTC"
    assert [one["name"] for one in drawn["quantities"]] == list(QUANTITIES)
    for one in drawn["quantities"]:
        assert DRAWN / 2 <= len(one["points"]["theirs"]) <= DRAWN
        assert not any(one["points"]["outside"])
        assert sum(one["excess"]["share"]) == pytest.approx(100, abs=0.1)
        inside = [
            abs(at) <= 1.025 for at, share in zip(*one["excess"].values(), strict=True) if share
        ]
        assert all(inside)


def test_what_is_outside_is_marked(wrong):
    rho = embedded(wrong)[0]["quantities"][-1]

    assert 0.02 < sum(rho["points"]["outside"]) / len(rho["points"]["outside"]) < 0.6
    assert rho["excess"]["share"][0] + rho["excess"]["share"][-1] > 1


def test_names_are_escaped_and_data_cannot_end_their_element(tmp_path):
    lake, _ = lake_of(tmp_path, days=1, every_hours=12)
    (path,) = lake.files("option_tickers")
    odd = pl.read_parquet(path).with_columns(
        underlying=pl.lit("<b>&"), instrument=pl.lit("</script><b>")
    )
    odd.write_parquet(path)

    page = greeks_page(report(lake))

    assert "<h3>&lt;b&gt;&amp;, from mark_iv</h3>" in page
    assert embedded(page)[0]["quantities"][0]["points"]["name"][0] == "</script><b>"


def test_the_page_is_one_file(right, tmp_path):
    write_page(right, tmp_path / "some/folder")

    assert [path.name for path in (tmp_path / "some/folder").iterdir()] == [PAGE]
