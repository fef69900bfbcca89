"""The universe of the simulated exchange, fetched over a socket."""

import json

import pytest

from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange import options, spot_and_combos
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.running import running

SINCE = "2025-06-01"
SINCE_MS = milliseconds(SINCE)


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    with running(limits=False, options_since=SINCE) as exchange:
        product = InProcess(Product(tmp_path_factory.mktemp("universe") / "lake", exchange.url))
        done = product.run("universe", "refresh")
        assert done.returncode == 0, done.stderr
        yield product


def test_every_instrument_ever_listed_is_there_once(product):
    shown = json.loads(product.run("universe", "show", "--json").stdout)

    market = Market(7, milliseconds("2025-10-18"))
    listed = [instrument.name for instrument in market.listed]
    for is_expired in (False, True):
        found = options.records(market, "any", is_expired=is_expired)
        listed += [
            one["instrument_name"] for one in found if one["expiration_timestamp"] >= SINCE_MS
        ]
    for kind in ("spot", "future_combo", "option_combo"):
        found = spot_and_combos.records(market, kind, "any", is_expired=False)
        listed += [one["instrument_name"] for one in found]
    assert len(listed) > 20_000
    assert sorted(one["instrument"] for one in shown) == sorted(listed)


def test_the_living_of_a_moment_are_shown_with_their_kind_and_currency(product):
    done = product.run(
        "universe", "show", "--kind", "future", "--currency", "ETH", "--at", "2024-07-01", "--json"
    )
    shown = {one["instrument"] for one in json.loads(done.stdout)}

    assert {"ETH-PERPETUAL", "ETH-27SEP24", "ETH-27DEC24"} <= shown
    assert "ETH-28JUN24" not in shown
    assert not any(name.startswith("BTC") for name in shown)


def test_a_month_shows_what_came_and_went(product):
    done = product.run(
        "universe", "diff", "--since", "2024-06-01", "--until", "2024-07-01", "--json"
    )
    changes = {one["instrument"]: one["change"] for one in json.loads(done.stdout)}

    assert changes["BTC-28JUN24"] == "gone"
    assert changes["BTC-5JUL24"] == "listed"
    assert "BTC-27DEC24" not in changes


def test_refreshing_again_changes_no_interval_and_rebuilding_no_byte(product):
    path = product.lake / "clean" / "instruments" / "all" / "all.parquet"
    before = product.run("universe", "show", "--json").stdout
    product.run("universe", "refresh")
    content = path.read_bytes()
    rebuilt = product.run("universe", "rebuild")

    assert rebuilt.returncode == 0
    assert path.read_bytes() == content
    assert product.run("universe", "show", "--json").stdout == before


def test_sql_finds_the_instrument_of_a_candle_by_its_moment(product):
    query = (
        "SELECT count(*) AS n FROM instruments WHERE instrument = 'BTC-PERPETUAL' "
        "AND valid_from <= TIMESTAMPTZ '2024-01-01' AND coalesce(valid_to > '2024-01-01', true)"
    )
    answer = product.run("query", query, "--format", "json")

    assert json.loads(answer.stdout) == [{"n": 1}]


def test_without_a_universe_it_says_what_to_run(tmp_path):
    done = InProcess(Product(tmp_path / "lake", "http://127.0.0.1:9")).run("universe", "show")

    assert done.returncode != 0
    assert "instruments refresh" in done.stderr
