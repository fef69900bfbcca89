"""Chains of options as they are quoted now: taken over a socket, kept, rebuilt, refused."""

import json
import signal
import time

import numpy as np
import polars as pl
import pytest

from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.market import Market
from tests.exchange.option_market import tickers
from tests.exchange.relay import relaying
from tests.exchange.running import running

NOW_MS = 1_760_745_600_000
FREE = (("DERIBIT_LAKE_CREDIT_CAPACITY", "1e9"), ("DERIBIT_LAKE_CREDIT_REFILL", "1e9"))
CHAIN, TICKER = "public/get_book_summary_by_currency", "public/ticker"
TAKE = ("snapshot", "options", "--currency")


@pytest.fixture(scope="module")
def url():
    with running(limits=False, options_since="2025-10-17", option_activity=0.02) as exchange:
        yield exchange.url


@pytest.fixture(scope="module")
def market():
    return Market(7, NOW_MS, option_activity=0.02)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, url):
    """Return a lake with a snapshot of two currencies, taken once."""
    product = InProcess(Product(tmp_path_factory.mktemp("healthy") / "lake", url, FREE))
    done = product.run(*TAKE, "BTC,USDC")
    assert done.returncode == 0, done.stdout + done.stderr
    return product


def at(url, tmp_path):
    return InProcess(Product(tmp_path / "lake", url, FREE))


def held(product, currency="BTC"):
    files = sorted(product.lake.glob(f"clean/option_tickers/{currency}/*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in files])


def verdicts(product):
    done = product.run("status", "--json")
    return {one["instrument"]: one["verdict"] for one in json.loads(done.stdout)["instruments"]}


def thinned(answer, rows=40):
    """Return a chain of its first options alone."""
    return answer.with_result(answer.result[:rows]) if answer.method == CHAIN else answer


def test_a_snapshot_is_the_exchange_s_own_chain(healthy, market):
    chain = market.world.options.chain("BTC")
    rows = tickers.living(chain, NOW_MS)
    sent = {one["instrument_name"]: one for one in tickers.summaries(market, chain, rows)}
    kept = {row["instrument"]: row for row in held(healthy).to_dicts()}

    assert len(kept) > 1_000
    assert kept.keys() == sent.keys()
    for name, one in sent.items():
        row = kept[name]
        members = ("bid_price", "ask_price", "mark_price", "underlying_price", "open_interest")
        assert [row[member] for member in members] == [one[member] for member in members]
        assert np.isclose(row["mark_iv"] * 100, one["mark_iv"], rtol=1e-12)
    assert {row["timestamp"].timestamp() * 1000 for row in kept.values()} == {NOW_MS}


def test_a_settlement_currency_holds_the_chains_of_its_families(healthy):
    families = set(held(healthy, "USDC")["underlying"])

    assert {"BTC_USDC", "ETH_USDC", "SOL_USDC", "XRP_USDC"} <= families
    assert set(held(healthy)["underlying"]) == {"BTC"}


def test_status_verify_query_and_replay_cover_it(healthy):
    before = digests(healthy.lake)

    assert verdicts(healthy) == {"BTC": "COMPLETE", "USDC": "COMPLETE"}
    assert healthy.run("verify", "--dataset", "option_tickers").returncode == 0
    assert healthy.run("replay", "--dataset", "option_tickers").returncode == 0
    assert digests(healthy.lake) == before
    asked = healthy.run("query", "SELECT count(*) AS n FROM option_tickers", "--format", "json")
    assert json.loads(asked.stdout)[0]["n"] == len(held(healthy)) + len(held(healthy, "USDC"))


def test_a_second_snapshot_of_the_same_instant_changes_no_row(healthy):
    before = digests(healthy.lake)
    done = healthy.run(*TAKE, "BTC")

    assert (done.returncode, "options of 11 expiries" in done.stdout) == (0, True)
    assert digests(healthy.lake) == before


def test_tickers_bring_amounts_volatilities_and_greeks(url, tmp_path, market):
    with relaying(url, thinned) as thin:
        product = at(thin, tmp_path)
        done = product.run(*TAKE, "BTC", "--tickers", "--json")
    told = json.loads(done.stdout)
    kept = held(product)

    (one,) = told["snapshots"]
    assert (one["options"], one["tickers"], told["requests"]) == (40, 40, 41)
    for row in kept.to_dicts():
        sent = tickers.ticker(market, row["instrument"])
        assert row["delta"] == sent["greeks"]["delta"]
        assert row["ask_amount"] == (sent["best_ask_amount"] or None)
        assert row["bid_iv"] == (round(sent["bid_iv"] / 100, 10) or None)


def test_an_option_that_expired_since_keeps_the_row_of_its_chain(url, tmp_path):
    def closed(answer):
        if answer.method == TICKER and answer.number == 0:
            error = {"code": 13019, "message": "orderbook_closed"}
            return answer.altered("error", error)
        return thinned(answer, 3)

    with relaying(url, closed) as thin:
        done = at(thin, tmp_path).run(*TAKE, "BTC", "--tickers")

    assert done.returncode == 0
    assert "3 options of 1 expiries, 2 with Greeks" in done.stdout
    assert "note: 1 of 3 tickers did not come: public/ticker was refused: orderbook_closed" in (
        done.stdout
    )


def test_rows_of_another_currency_are_set_aside(url, tmp_path):
    def strange(answer):
        if answer.method != CHAIN:
            return answer
        odd = answer.result[1] | {"instrument_name": "ETH-31OCT25-4000-C"}
        return answer.with_result([*answer.result[:1], odd])

    with relaying(url, strange) as lying:
        product = at(lying, tmp_path)
        done = product.run(*TAKE, "BTC")
    (path,) = product.lake.glob("quarantine/option_tickers/BTC/*.parquet")

    assert "1 options of 1 expiries; 1 rows of the day set aside" in done.stdout
    assert pl.read_parquet(path)["failed_check"].to_list() == ["instrument:other_currency"]


@pytest.mark.parametrize(
    ("currency", "altered", "line"),
    [
        ("ETH", lambda answer: answer.with_result([]), "settled in ETH, it sent an empty chain"),
        ("DOGE", lambda answer: answer, "no currency 'DOGE'; there are: BTC, ETH, "),
        ("B/C", lambda answer: answer, "no currency 'B/C'"),
        (",", lambda answer: answer, "--currency ',' names nothing"),
    ],
)
def test_what_has_no_chain_is_one_line_and_nothing_is_published(
    url, tmp_path, currency, altered, line
):
    with relaying(url, altered) as lying:
        product = at(lying, tmp_path)
        done = product.run(*TAKE, currency)

    assert (done.returncode, line in done.stderr) == (1, True), done.stderr
    assert done.stderr.count("error: ") == 1
    assert digests(product.lake) == {}
    assert verdicts(product) == {}


def test_a_chain_of_another_currency_is_refused_by_name_and_the_others_are_taken(url, tmp_path):
    settings = (*FREE, ("DERIBIT_LAKE_PATIENCE_MINUTES", "0"))
    others = {}

    def swapped(answer):
        if answer.method != CHAIN:
            return answer
        others.setdefault(answer.params["currency"], answer.result[:20])
        return answer.with_result(others["BTC"])

    with relaying(url, swapped) as lying:
        product = InProcess(Product(tmp_path / "lake", lying, settings))
        done = product.run(*TAKE, "BTC,ETH")

    assert done.returncode == 1
    assert "asked for options settled in ETH, it sent BTC" in done.stderr
    assert verdicts(product) == {"BTC": "COMPLETE"}
    assert len(held(product)) == 20


def test_a_run_that_is_killed_is_made_good_by_the_next_with_the_same_bytes(url, tmp_path):
    with relaying(url, lambda answer: thinned(answer, 80)) as thin:
        whole = at(thin, tmp_path / "whole")
        assert whole.run(*TAKE, "BTC", "--tickers").returncode == 0
        killed = Product(tmp_path / "killed/lake", thin, FREE)
        process = killed.start(*TAKE, "BTC", "--tickers")
        staged = killed.lake / "raw"
        while not list(staged.glob("get_book*/**/*.parquet")):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        between = InProcess(killed).run("status")
        assert "raw of 2025-10-18 is not folded yet: run `deribit-lake snapshot" in between.stdout
        assert InProcess(killed).run(*TAKE, "BTC", "--tickers").returncode == 0

    assert digests(killed.lake) == digests(whole.lake)
    assert verdicts(InProcess(killed)) == {"BTC": "COMPLETE"}
