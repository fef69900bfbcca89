import re
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from etl.catalog import find
from etl.check.report.candles import daily_candles, daily_coverage, report_lake, write_report
from etl.errors import UsageError
from lake.paths import Lake
from lake.write import publish_table
from tests.validators.candles import START, clean_candles
from validators.outages import load_outages

SUMMARY = [{"instrument": "BTC-PERPETUAL", "rows": "4,320", "verdict": "COMPLETE"}]


@pytest.fixture(scope="module")
def candles():
    return clean_candles(3 * 1_440)


@pytest.fixture(scope="module")
def page(candles, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "demo.html"
    frames = {"BTC-PERPETUAL": candles.lazy(), "ETH-<b>": candles.lazy()}
    write_report(frames, summary=SUMMARY, outages=load_outages(), out=out, title="Ours & theirs")
    return out.read_text()


def markup(page):
    """The page without the library it carries."""
    return re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)


def test_the_page_loads_nothing_from_anywhere(page):
    assert re.findall(r"""(?:src|href)\s*=|url\(|@import""", markup(page)) == []
    assert "plotly.js v" in page


def test_every_instrument_has_a_price_chart_and_a_calendar(page):
    assert markup(page).count('"type":"candlestick"') == 2
    assert markup(page).count('"type":"heatmap"') == 2


def test_names_and_titles_are_escaped(page):
    assert "ETH-&lt;b&gt;" in markup(page)
    assert "<h1>Ours &amp; theirs</h1>" in markup(page)


def test_the_summary_is_a_table_with_its_verdict_marked(page):
    assert "<th>rows</th>" in page
    assert '<span class="good">COMPLETE</span>' in page


@pytest.mark.parametrize("verdict", ["INCOMPLETE 3 gaps", "UNKNOWN"])
def test_a_verdict_that_is_no_good_news_does_not_look_like_it(verdict, tmp_path):
    rows = [{"verdict": verdict}]

    write_report({}, summary=rows, outages=(), out=tmp_path / "x.html", title="x")

    assert f'<span class="bad">{verdict}</span>' in (tmp_path / "x.html").read_text()


def test_an_instrument_without_candles_has_no_section(candles, tmp_path):
    frames = {"BTC-PERPETUAL": candles.clear().lazy()}

    write_report(frames, summary=[], outages=(), out=tmp_path / "x.html", title="x")

    assert "<h2>" not in (tmp_path / "x.html").read_text()


def test_a_day_is_made_of_its_minutes(candles):
    day = daily_candles(candles.lazy()).row(1, named=True)

    minutes = candles[1_440:2_880]
    assert day == {
        "day": date(2024, 3, 2),
        "open": minutes["open"][0],
        "high": minutes["high"].max(),
        "low": minutes["low"].min(),
        "close": minutes["close"][-1],
    }


def test_the_first_and_the_last_day_owe_only_their_part(candles):
    part = candles[600:3_000]

    owed = daily_coverage(part.lazy(), ())["owed"].to_list()

    assert owed == [840, 1_440, 120]


def test_missing_minutes_are_counted_on_their_day(candles):
    midnight = START + timedelta(days=1)
    is_gone = pl.col("timestamp").is_between(
        midnight - timedelta(minutes=10), midnight + timedelta(minutes=4)
    )

    coverage = daily_coverage(candles.filter(~is_gone).lazy(), load_outages())

    assert (coverage["owed"] - coverage["held"]).to_list() == [10, 5, 0]
    assert coverage["outage"].to_list() == [0, 0, 0]
    assert coverage["share"].to_list() == [1_430 / 1_440, 1_435 / 1_440, 1.0]


def test_a_documented_outage_is_counted_apart():
    start = datetime(2020, 8, 26, tzinfo=UTC)
    is_down = pl.col("timestamp").is_between(
        datetime(2020, 8, 27, 5, 15, tzinfo=UTC),
        datetime(2020, 8, 27, 9, 27, tzinfo=UTC),
        closed="left",
    )
    frame = clean_candles(3 * 1_440, start=start, filler_share=0.5).filter(~is_down)

    coverage = daily_coverage(frame.lazy(), load_outages())

    assert coverage["outage"].to_list() == [0, 252, 0]
    assert coverage["held"].to_list() == [1_440, 1_188, 1_440]
    assert coverage["fillers"].sum() == frame["volume"].eq(0).sum()


def test_a_lake_is_drawn_with_what_it_holds(candles, tmp_path):
    folder = tmp_path / "clean" / "perpetuals_ohlcv" / "BTC-PERPETUAL"
    publish_table(candles.to_arrow(), folder / "2024.parquet")

    report_lake(Lake(tmp_path), find("perpetuals_ohlcv"), load_outages(), tmp_path / "x.html")

    page = (tmp_path / "x.html").read_text()
    assert "4,320 of 4,320 minutes held (100 %)" in page
    assert '<span class="bad">UNKNOWN</span>' in page


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("perpetuals_ohlcv", "holds nothing of perpetuals_ohlcv yet"),
        ("funding_rates", "shows one-minute candles"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_error(table, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        report_lake(Lake(tmp_path), find(table), load_outages(), tmp_path / "x.html")
