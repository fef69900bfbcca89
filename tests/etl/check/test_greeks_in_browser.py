"""The page of a comparison of Greeks in a headless Chromium that has no network."""

import pytest

from etl.check.greeks_page import greeks_page
from tests import greek_tickers
from tests.browser import browsing
from tests.etl.check.test_greeks import FIRST_MS, lake_of, report

pytestmark = pytest.mark.slow
WIDTHS = {1280: False, 360: True}
"""Of the window, and whether the page is dark."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    lake, _ = lake_of(folder, greek_tickers.WRONG["a year of 365.25 days"], days=1)
    greek_tickers.publish(lake, "USDC", FIRST_MS, days=1, every_hours=12)
    path = folder / "greeks.html"
    path.write_text(greeks_page(report(lake)), encoding="utf-8")
    return path


def drawn(browser, selector):
    return browser.evaluate(f"document.querySelectorAll('{selector}').length")


def test_the_page_is_drawn_whole_at_any_width_without_network_or_complaint(path, tmp_path):
    with browsing(webgl=False) as browser:
        for width, dark in WIDTHS.items():
            browser.open(path, width=width, dark=dark)

            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert drawn(browser, "#scatter h3") == drawn(browser, "#histograms h3") == 6
            assert drawn(browser, "#scatter path.point") > 6 * 500
            assert drawn(browser, "#histograms .bars path") > 6 * 50
            assert drawn(browser, "td.fail") > 20
            browser.picture(tmp_path / f"{width}.png")
            assert (tmp_path / f"{width}.png").stat().st_size > 50_000
    assert browser.complaints == []
    assert {one.partition(":")[0] for one in browser.requests} <= {"file", "data", "blob"}


def test_another_underlying_is_drawn_when_it_is_chosen(path):
    with browsing(webgl=False) as browser:
        browser.open(path, width=800)
        line = "document.getElementById('scatter-vega').data[1].text[0]"
        before = browser.evaluate(line)
        browser.evaluate("document.getElementById('underlying').selectedIndex = 1")
        browser.evaluate("document.getElementById('underlying').dispatchEvent(new Event('change'))")

        assert before.startswith("BTC-")
        assert browser.evaluate(line).startswith("BTC_USDC-")
