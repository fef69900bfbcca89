"""What was listed, delisted or written differently: every minute of its life, and no more."""

import json

import pytest

from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.relay import relaying
from tests.exchange.running import running

MARKET = Market(7, milliseconds("2025-10-18"))
ASKED = (
    ("backfill", "perpetuals", "--start", "2025-10-16", "--end", "2025-10-17"),
    ("backfill", "funding", "--start", "2025-10-01", "--end", "2025-10-17"),
    ("backfill", "deliveries", "--start", "2025-10-01", "--end", "2025-10-17"),
    ("backfill", "dvol", "--resolution", "3600", "--start", "2025-10-01", "--end", "2025-10-17"),
)


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False, options_since="2025-06-01") as exchange:
        yield exchange


@pytest.fixture
def product(tmp_path, exchange):
    return InProcess(
        Product(tmp_path / "lake", exchange.url, (("DERIBIT_LAKE_CONFIRM_AFTER", "0"),))
    )


def held(done):
    """Return rows by instrument of a run that has to be COMPLETE."""
    assert done.returncode == 0, done.stderr
    return {one["instrument"]: one["rows"] for one in json.loads(done.stdout)["instruments"]}


def minutes(name, start="2016-01-01", end="2025-10-18"):
    return len(MARKET.minutes(name, milliseconds(start), milliseconds(end)))


def test_futures_that_settled_in_solana_are_fetched_though_nothing_living_does(product):
    span = ("--start", "2022-06-01", "--end", "2022-06-20")
    asked = ("futures", "--currency", "SOL", *span)
    planned = json.loads(product.run("plan", *asked, "--json").stdout)
    rows = held(product.run("backfill", *asked, "--json"))
    healed = product.run("heal", "--json")

    names = ("SOL-3JUN22", "SOL-10JUN22", "SOL-24JUN22", "SOL-29JUL22")
    assert rows == {name: minutes(name, span[1], span[3]) for name in names}
    assert planned["rows"] >= sum(rows.values())
    assert healed.returncode == 0, healed.stderr


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("MATIC_USDC-PERPETUAL", "2024-10-02", "2024-10-04 08:00"),
        ("SOL-PERPETUAL", "2022-12-29", "2022-12-30 08:00"),  # only the history host knows it
    ],
)
def test_a_delisted_perpetual_is_complete_with_its_life(product, name, start, end):
    done = product.run("backfill", "perpetuals", "--instruments", name, "--start", start, "--json")

    assert held(done) == {name: minutes(name, start)}
    assert f"note: {name} was delisted {end} UTC: there is nothing after to fetch" in done.stderr
    assert product.run("status").returncode == 0


def test_the_first_future_of_all_ends_at_three_in_the_afternoon(product):
    asked = ("--currency", "BTC", "--instruments", "BTC-15JUL16", "--start", "2016-07-15")
    rows = held(product.run("backfill", "futures", *asked, "--json"))
    last = product.run("query", "SELECT max(timestamp) FROM futures_ohlcv", "--format", "csv")

    assert rows == {"BTC-15JUL16": 15 * 60}
    assert "2016-07-15 14:59" in last.stdout.replace("T", " ")


def test_numbers_in_exponent_form_make_the_same_files(product, tmp_path):
    with running(limits=False, faults="exponent", options_since="2025-09-01") as exchange:
        other = InProcess(Product(tmp_path / "exponent" / "lake", exchange.url))
        written = [other.run(*one) for one in ASKED]
        assert '"status": "ok"' in other.run("ping").stdout
    plain = [product.run(*one) for one in ASKED]

    assert [one.returncode for one in (*written, *plain)] == [0] * 2 * len(ASKED)
    assert digests(other.lake) == digests(product.lake)
    assert len(digests(product.lake)) >= 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("BTC_USDC",), "error: BTC_USDC is a spot by its name: no perpetual 'BTC_USDC'"),
        (("BTC-FS-27MAR26_PERP",), "error: BTC-FS-27MAR26_PERP is a future_combo by its name"),
        (("XXX_USDC-PERPETUAL",), "error: no instrument 'XXX_USDC-PERPETUAL'; nearest: "),
    ],
)
def test_what_no_dataset_has_is_refused_in_one_line(product, words, message):
    refused = product.run("backfill", "perpetuals", "--instruments", *words)

    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1].startswith(message)


def test_every_future_of_every_currency_there_ever_was_is_planned(product):
    asked = ("--start", "2022-06-01", "--end", "2022-06-08", "--json")
    alone = [
        json.loads(product.run("plan", "futures", "--currency", one, *asked).stdout)["rows"]
        for one in ("BTC,ETH", "SOL", "any")
    ]

    assert alone[2] == alone[0] + alone[1]


def with_odd_records(answer):
    """Return a list of instruments with odd records in front, between and behind."""
    if answer.method != "public/get_instruments" or len(answer.result) < 3:
        return answer
    sent = answer.result[: 100 if answer.params["kind"] == "option" else None]
    odd = sent[2] | {"instrument_name": "ODD-27MAR26", "creation_timestamp": None}
    records = [odd, *sent[:3], None, *sent[3:], sent[1] | {"instrument_id": "x"}]
    return answer.with_result([*records, 5, sent[0] | {"instrument_name": ["A"]}])


def test_odd_records_in_every_list_sink_no_run_now_or_later(product, exchange, tmp_path):
    span = ("--start", "2025-10-16", "--end", "2025-10-16 06:00")
    wishes = [
        ("backfill", "perpetuals", *span),
        ("backfill", "futures", "--settlement", "week", *span),
    ]
    with relaying(exchange.url, with_odd_records) as url:
        other = InProcess(Product(tmp_path / "odd" / "lake", url))
        runs = [other.run(*one) for one in (*wishes, ("heal",))]
    later = [other.run(*one) for one in (("replay",), ("status",), ("instruments", "rebuild"))]
    plain = [product.run(*one) for one in wishes]

    assert [one.returncode for one in (*runs, *later, *plain)] == [0] * 8
    assert all("note: ODD-27MAR26 is left out: creation_timestamp" in one.stdout for one in runs)
    assert "ODD-27MAR26 in the list future any living is set aside" in later[-1].stdout
    same = {path: each for path, each in digests(other.lake).items() if "instruments" not in path}
    assert same == digests(product.lake)


@pytest.mark.slow
def test_a_refresh_counts_what_it_sets_aside(exchange, tmp_path):
    with relaying(exchange.url, with_odd_records) as url:
        done = InProcess(Product(tmp_path / "lake", url)).run("instruments", "refresh")

    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0].startswith("note: ODD-27MAR26 in the list future any living is set aside")
    assert told[-1].endswith("records set aside")


def test_an_empty_list_of_what_lives_undoes_nothing(product, exchange):
    def emptied(answer):
        return answer.with_result([]) if answer.method == "public/get_instruments" else answer

    wish = ("backfill", "perpetuals", "--start", "2025-10-16", "--end", "2025-10-16 06:00")
    assert product.run(*wish).returncode == 0
    before = digests(product.lake)
    with relaying(exchange.url, emptied) as url:
        settings = (("DERIBIT_LAKE_RETRY_SECONDS", "0.1"),)
        lied = InProcess(Product(product.lake, url, settings))
        refused = [lied.run(*wish), lied.run("instruments", "refresh")]

    for done in refused:
        assert done.returncode == 1
        assert "an empty list of instruments" in done.stderr.splitlines()[-1]
    assert product.run("status").returncode == 0
    assert product.run("heal").returncode == 0
    assert digests(product.lake) == before
