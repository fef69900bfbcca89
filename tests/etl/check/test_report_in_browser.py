"""The page of a whole lake in a headless Chromium that has no network, at two widths."""

import json
import re

import polars as pl
import pyarrow as pa
import pytest

from lake.ledger import Gap, Record, write_record
from lake.operations import Outcome, write_outcome
from lake.partition import Partition
from lake.publish import publish as publish_part
from lake.span import Span
from lake.write import publish_table
from tests import greek_tickers, surfaces
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.browser import browsing
from tests.etl.check.report_pages import NOW
from tests.etl.check.test_report_markets import AT, curve, publish, rows_of, swaps
from tests.etl.check.test_status import record
from tests.etl.staged import MINUTE, PARTITION, attempt, chart, folded, lake_of, minutes
from validators.schemas.futures_curve import FuturesCurve
from validators.schemas.variance_swap import VarianceSwap

pytestmark = pytest.mark.slow
HOSTILE = "<script>document.title='gone'<∕script><img src=x onerror=alert(1)>"  # noqa: RUF001
LONG = "SOMETHING_VERY_LONG_USDC-27DEC24-" + 6 * "123456789" + "-C"
WIDTHS = {1280: False, 390: True}
"""Of the window, and whether the page is dark."""


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """A lake with something of all the page tells of, and with names nobody would choose."""
    folder = tmp_path_factory.mktemp("page")
    settings = (("DERIBIT_LAKE_DSN", "postgresql://nobody:secret@127.0.0.1:9/none"),)
    product = InProcess(Product(folder / "lake", "http://127.0.0.1:9", settings))
    lake = lake_of(product.lake, attempt(chart(minutes(*range(10)))))
    publish_part(lake, PARTITION, folded(lake))
    for number, name in enumerate([HOSTILE, LONG, *(f"BTC-{day}JAN24" for day in range(1, 29))]):
        gap = Gap(0, (number + 1) * MINUTE, "no_answer", of=name, source=name)
        one = Partition("futures_ohlcv", name, "2024")
        write_record(lake, one, Record(wanted=(Span(0, 90 * MINUTE),), rows=9, gaps=(gap,)))
        publish_table(pa.table({"x": [1]}), lake.clean(one))
    write_record(lake, Partition(HOSTILE, HOSTILE, "2024"), record(0, 9))
    publish(lake, surfaces.slices(), "vol_slices")
    publish(lake, rows_of(FuturesCurve, curve(AT, d7=0.05, d30=0.04, d90=0.03)), "futures_curve")
    publish(lake, rows_of(VarianceSwap, swaps(20)), "variance_swap")
    greek_tickers.publish(lake, "BTC", 1_760_572_800_000, days=1, every_hours=12)
    ended = Outcome(operation="sync", started_ms=NOW, finished_ms=NOW, exit_code=3, error=HOSTILE)
    write_outcome(lake, ended)
    reports = folder / "reports" / "perpetuals_ohlcv"
    reports.mkdir(parents=True)
    pl.DataFrame({"status": ["unexplained"]}).write_csv(reports / "gap_report.csv")
    return product


@pytest.fixture(scope="module")
def path(product):
    path = product.lake.parent / "report.html"
    reports = product.lake.parent / "reports"
    done = product.run("report", "--out", path, "--reports", reports)
    assert (done.returncode, done.stdout) == (0, f"wrote {path}\n"), done.stderr
    return path


def texts(browser, selector):
    return browser.evaluate(
        f"[...document.querySelectorAll({selector!r})].map(one => one.textContent.trim())"
    )


def unfold(browser):
    browser.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")


def test_the_page_fits_any_width_asks_for_nothing_and_nobody_complains(path, tmp_path):
    with browsing(webgl=False) as browser:
        for width, dark in WIDTHS.items():
            browser.open(path, width=width, dark=dark)
            for _ in range(2):
                assert browser.evaluate("document.documentElement.scrollWidth") <= width
                assert browser.evaluate("document.body.scrollWidth") <= width
                unfold(browser)
            assert len(texts(browser, "section > h2")) == 11
            assert browser.evaluate("document.querySelectorAll('svg.chart path.curve').length") > 8
            assert browser.evaluate("document.querySelectorAll('svg.strip').length") > 25
            browser.picture(tmp_path / f"{width}.png")
            assert (tmp_path / f"{width}.png").stat().st_size > 50_000
    assert browser.complaints == []
    assert set(browser.requests) == {path.absolute().as_uri()}


def test_names_that_are_scripts_are_words(path):
    with browsing(webgl=False) as browser:
        browser.open(path, width=390)

        assert browser.evaluate("document.title") == "deribit-lake: UNKNOWN"
        assert (
            browser.evaluate("document.querySelectorAll('script, img, iframe, link').length") == 0
        )
        assert HOSTILE in texts(browser, "#coverage th")
        assert HOSTILE in texts(browser, "#operations td")
    assert browser.complaints == []


def test_what_the_page_forbids_is_refused_by_the_browser(path, tmp_path):
    other = tmp_path / "other.html"
    tag = "<script>document.title='gone'</script><img src='http://127.0.0.1:9/x.png'></main>"
    other.write_text(path.read_text(encoding="utf-8").replace("</main>", tag), encoding="utf-8")

    with browsing(webgl=False) as browser:
        browser.open(other, width=390)

        assert browser.evaluate("document.title") == "deribit-lake: UNKNOWN"
    assert len(browser.complaints) == 2
    assert all("Content Security Policy" in one for one in browser.complaints)


def test_the_figures_are_those_of_status(path, product):
    done = product.run("status", "--json")
    told = json.loads(done.stdout)

    with browsing(webgl=False) as browser:
        browser.open(path, width=1280)
        rows = browser.evaluate(
            "[...document.querySelectorAll('#coverage > table')[0].tBodies[0].rows]"
            ".map(row => [...row.cells].map(cell => cell.textContent))"
        )
        parts = texts(browser, "#coverage-futures_ohlcv tbody th")
        heading = texts(browser, "h1")

    by_dataset = {}
    for one in told["instruments"]:
        by_dataset.setdefault(one["dataset"], []).append(one)
    assert heading == [f"The lake is {told['verdict']}"]
    assert {row[0] for row in rows} == set(by_dataset)
    for name, complete, count, *_, verdict in rows:
        mine = by_dataset[name]
        assert count == f"{sum(one.get('rows', 0) for one in mine):,}"
        whole = sum(one["verdict"] == "COMPLETE" for one in mine)
        assert complete.startswith(f"{whole} of {len(mine)} part")
        worst = {"UNKNOWN", "INCOMPLETE"} & {one["verdict"] for one in mine}
        assert (verdict == "COMPLETE") == (not worst)
    assert set(parts) == {one["instrument"] for one in by_dataset["futures_ohlcv"]}


def test_a_database_that_does_not_answer_costs_a_line_and_no_secret(path):
    page = path.read_text(encoding="utf-8")

    assert '<span class="bad">no answer</span>' in page
    assert "127.0.0.1:9" in page
    assert "secret" not in page


def test_all_of_it_is_there_for_those_who_do_not_see_it_or_print_it(path):
    with browsing(webgl=False) as browser:
        browser.open(path, width=1280)
        unnamed = browser.evaluate(
            "[...document.querySelectorAll('svg')].filter(one => !one.ariaLabel && "
            "one.getAttribute('aria-hidden') !== 'true').length"
        )
        nameless = browser.evaluate(
            "[...document.querySelectorAll('table')].filter(one => !one.caption).length"
        )
        folded_height = browser.evaluate("document.documentElement.scrollHeight")
        browser.call("Emulation.setEmulatedMedia", media="print")
        printed = browser.evaluate("document.documentElement.scrollHeight")
        links = browser.evaluate("getComputedStyle(document.querySelector('nav')).display")

    assert (unnamed, nameless) == (0, 0)
    assert printed > folded_height
    assert links == "none"


def test_numbers_stand_to_the_right_in_digits_of_one_width(path):
    with browsing(webgl=False) as browser:
        browser.open(path, width=1280)
        looks = browser.evaluate(
            "[...document.querySelectorAll('table.cards td.number')].map(one => "
            "getComputedStyle(one).textAlign + ' ' + getComputedStyle(one).fontVariantNumeric)"
        )

    assert len(looks) > 50
    assert set(looks) == {"right tabular-nums"}


def test_the_page_is_small_and_its_links_lead_somewhere(path):
    page = path.read_text(encoding="utf-8")

    assert len(page) < 300_000
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= set(re.findall(r' id="([^"]+)"', page))
