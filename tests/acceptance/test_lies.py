"""Whatever answers say that is not so, no wrong row stands under COMPLETE, and heal mends it."""

from dataclasses import replace

import duckdb
import pytest

from lake import raw
from lake.ledger import records
from lake.paths import Lake
from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange import lies
from tests.exchange.faults import ANSWER_FAULTS, PAGE_FAULTS
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.relay import relaying
from tests.exchange.running import NOW, running

BTC = "BTC-PERPETUAL"
REFUSED = b'{"jsonrpc": "2.0", "error": {"code": -32602, "message": "Invalid params"}}'
SETTLING = b'{"jsonrpc": "2.0", "error": {"code": 10041, "message": "settlement_in_progress"}}'
NOTHING = {name: [] for name in ("ticks", "open", "high", "low", "close", "volume", "cost")}
START, END = "2025-09-08", "2025-09-22"
WINDOW = ("--instruments", BTC, "--start", START, "--end", END)
ALONE = (*lies.NAMES, *PAGE_FAULTS, *ANSWER_FAULTS, "http_429")
IN_LISTS = ("odd", "exponent", "shrunken", "reticked")
IN_A_HURRY = (("DERIBIT_LAKE_CONFIRM_AFTER", "0"), ("DERIBIT_LAKE_PROBE_SECONDS", "0.1"))
QUICK = ("silent", "relabelled")


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as healthy:
        yield healthy


@pytest.fixture(scope="module")
def truth():
    market = Market(7, milliseconds(NOW))
    found = market.candles(BTC, milliseconds(START), milliseconds(END))
    rows = zip(*(found[name].tolist() for name in ("ticks", "close", "volume")), strict=True)
    return {tick: (close, volume) for tick, close, volume in rows}


@pytest.fixture(scope="module")
def clean(exchange, tmp_path_factory):
    product = InProcess(Product(tmp_path_factory.mktemp("healthy") / "lake", exchange.url))
    assert product.run("backfill", "perpetuals", *WINDOW).returncode == 0
    return digests(product.lake)


def held(lake):
    files = sorted(str(path) for path in (lake / "clean").glob("**/*.parquet"))
    if not files:
        return {}
    rows = duckdb.sql(f"SELECT epoch_ms(timestamp), close, volume FROM read_parquet({files})")
    return {tick: (close, volume) for tick, close, volume in rows.fetchall()}


def given_up(lake):
    """Minutes the ledger holds settled as not to be had."""
    return {
        tick
        for _, record in records(Lake(lake), "perpetuals_ohlcv")
        for gap in record.gaps
        if gap.reason in {"absent", "before_first_trade"}
        for tick in range(gap.start_ms, gap.end_ms, 60_000)
    }


def check_lies(tmp_path, exchange, truth, clean, faults, fault_seed=1):
    lake = tmp_path / "lake"
    with running(limits=False, faults=faults, fault_seed=fault_seed, every=True) as liar:
        product = InProcess(Product(lake, liar.url, IN_A_HURRY))
        for command in (("backfill", "perpetuals", *WINDOW), ("heal",), ("heal",)):
            done = product.run(*command)
            assert done.returncode != 0 or held(lake) == truth, done.stdout + done.stderr
            assert held(lake).items() <= truth.items() or "INCOMPLETE" in done.stdout
            assert len(given_up(lake) & truth.keys()) < 30, faults
        if not set(faults.split(",")) & set(IN_LISTS):
            assert sum(liar.stats()["faults"].values()) > 3
    healed = InProcess(Product(lake, exchange.url)).run("heal", "--now")
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert digests(lake) == clean
    assert not given_up(lake) & truth.keys()


@pytest.mark.parametrize("fault", QUICK)
def test_a_lie_in_every_answer_settles_nothing_wrong(tmp_path, exchange, truth, clean, fault):
    check_lies(tmp_path, exchange, truth, clean, fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", sorted({*ALONE, *IN_LISTS} - {*QUICK}))
def test_each_fault_in_every_answer_settles_nothing_wrong(tmp_path, exchange, truth, clean, fault):
    check_lies(tmp_path, exchange, truth, clean, fault)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_all_faults_at_once_settle_nothing_wrong(tmp_path, exchange, truth, clean, seed):
    check_lies(tmp_path, exchange, truth, clean, ",".join(ALONE), seed)


def test_a_window_too_wide_for_the_exchange_is_asked_for_in_pages(tmp_path, exchange, clean):
    """It sends the newest rows of such a one, but nobody says that it always will."""

    def narrow(answer):
        ends = [int(answer.params.get(f"{name}_timestamp", 0)) for name in ("start", "end")]
        if ends[1] - ends[0] > 5_001 * 60_000:
            return replace(answer, status=400, body=REFUSED)
        return answer.with_result(NOTHING) if is_silent and ends[1] else answer

    is_silent = True
    with relaying(exchange.url, narrow) as url:
        product = InProcess(Product(tmp_path / "lake", url, IN_A_HURRY))
        silent = product.run("backfill", "perpetuals", *WINDOW)
        is_silent = False
        healed = product.run("heal", "--now")

    assert (silent.returncode, healed.returncode) == (3, 0)
    assert digests(product.lake) == clean


def test_an_answer_of_another_year_is_not_believed_whatever_it_has(tmp_path, exchange, clean):
    def ahead(answer):
        is_lie = "chart" in answer.method and answer.number < len(clean) + 1
        return (
            answer.altered("usOut", answer.envelope["usOut"] + lies.YEAR_US) if is_lie else answer
        )

    with relaying(exchange.url, ahead) as url:
        product = InProcess(Product(tmp_path / "lake", url))
        done = product.run("backfill", "perpetuals", *WINDOW)

    folder = tmp_path / "lake" / "raw" / "get_tradingview_chart_data"
    outcomes = [
        one for name in folder.glob("*/*/*") for one in raw.read(name)["outcome"].to_pylist()
    ]
    assert done.returncode == 0
    assert digests(product.lake) == clean
    assert sum(one.endswith("not believed") for one in outcomes) == len(clean) + 1


def test_a_refusal_that_passes_by_itself_gives_up_nothing(tmp_path, exchange):
    """Not even where no answer ever came: what is wanted stays wanted."""

    def settling(answer):
        return replace(answer, status=400, body=SETTLING) if "chart" in answer.method else answer

    with relaying(exchange.url, settling) as url:
        product = InProcess(
            Product(tmp_path / "lake", url, (("DERIBIT_LAKE_RETRY_ATTEMPTS", "1"),))
        )
        done = product.run("backfill", "perpetuals", *WINDOW)

    assert done.returncode == 3
    assert "no_answer 20,160" in done.stdout
