"""The page of a collector in a headless Chromium, from a real server on loopback."""

import time

import pytest

from tests.browser import browsing
from tests.etl.collect.health.boards import fresh, troubled
from tests.etl.collect.health.serving import served

pytestmark = pytest.mark.slow
WIDTHS = {1280: False, 500: True}
"""Of the window, and whether the page is dark."""
REFRESH_S = 25


def until(browser, expression):
    """Wait until something is so in the page."""
    end = time.monotonic() + REFRESH_S
    while not browser.evaluate(expression):
        assert time.monotonic() < end, expression
        time.sleep(0.2)


@pytest.mark.parametrize("make", [fresh, troubled])
def test_the_page_is_whole_at_any_width_and_asks_nobody_else(make, tmp_path):
    with served(make()) as (host, _), browsing(webgl=False) as browser:
        for width, dark in WIDTHS.items():
            browser.open(f"http://{host}/", width=width, dark=dark)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            top = browser.evaluate("document.querySelector('h1').getBoundingClientRect().top")
            assert 0 <= top < 60
            browser.picture(tmp_path / f"{make.__name__}-{width}.png")
            assert (tmp_path / f"{make.__name__}-{width}.png").stat().st_size > 30_000
        assert browser.complaints == []
        assert {one for one in browser.requests if not one.startswith("data:")} == {
            f"http://{host}/"
        }


def test_the_page_refreshes_itself_and_says_when_nobody_answers():
    board = fresh()
    with served(board) as (host, end), browsing(webgl=False) as browser:
        browser.open(f"http://{host}/", width=500)
        browser.evaluate("window.same = document.querySelector('main'); scrollTo(0, 200)")
        board.alarms = troubled().alarms
        until(browser, "document.querySelector('h1').textContent.startsWith('2 alarms')")
        assert browser.evaluate("window.same === document.querySelector('main')")
        assert browser.evaluate("scrollY") >= 200  # what was looked at stays in sight
        assert browser.evaluate("document.getElementById('gone').hidden")

        end()
        until(browser, "!document.getElementById('gone').hidden")
        assert browser.evaluate("document.getElementById('gone').offsetHeight") > 20


def test_without_a_script_the_browser_loads_the_page_anew():
    with served(fresh()) as (host, _), browsing(webgl=False) as browser:
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        for domain in ("Page", "Network"):
            browser.call(f"{domain}.enable")
        browser.call("Page.navigate", url=f"http://{host}/")
        end = time.monotonic() + REFRESH_S
        while browser.requests.count(f"http://{host}/") < 2:
            assert time.monotonic() < end
            time.sleep(0.5)
            browser.call("Page.getLayoutMetrics")
