"""The page of a surface in a headless Chromium that has no network."""

import pytest

from etl.check.surface_page import surface_page
from tests import surfaces
from tests.browser import browsing

pytestmark = pytest.mark.slow
WIDTHS = {1280: False, 360: True}
"""Of the window, and whether the page is dark."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    slices = surfaces.slices()
    page = surface_page(slices, surfaces.points(slices), "BTC, 2025-10-16 12:00 UTC, from trades")
    path = tmp_path_factory.mktemp("page") / "surface.html"
    path.write_text(page, encoding="utf-8")
    return path


def drawn(browser, selector):
    return browser.evaluate(f"document.querySelectorAll('{selector}').length")


@pytest.mark.parametrize("webgl", [True, False])
def test_the_page_is_drawn_whole_at_any_width_without_network_or_complaint(path, tmp_path, webgl):
    with browsing(webgl=webgl) as browser:
        for width, dark in WIDTHS.items():
            browser.open(path, width=width, dark=dark)

            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert drawn(browser, "#smiles h3") == 12
            assert drawn(browser, "#smiles .scatterlayer .lines path.js-line") == 10
            assert drawn(browser, "#smiles .points path.point") == 10 * 25 + 2 * 2
            assert drawn(browser, "#term .points path.point") == 10
            assert drawn(browser, "#term .errorbar") == 10
            assert drawn(browser, "#surface .gl-container canvas") == webgl
            assert drawn(browser, "#surface .js-line") == (0 if webgl else 10)
            assert drawn(browser, "tbody tr") == 12
            browser.picture(tmp_path / f"{width}.png")
            assert (tmp_path / f"{width}.png").stat().st_size > 50_000
    assert browser.complaints == []
    assert {one.partition(":")[0] for one in browser.requests} <= {"file", "data", "blob"}


def test_the_colours_follow_the_reader(path):
    with browsing(webgl=False) as browser:
        browser.open(path, width=800)
        light = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        line = "getComputedStyle(document.querySelector('#smile-1 .js-line')).stroke"
        before = browser.evaluate(line)
        browser.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark"}],
        )
        browser.evaluate("new Promise((done) => setTimeout(done, 500))")

        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") != light
        assert browser.evaluate(line) != before
