"""Lists that change under a user's feet, between two runs and in the middle of one."""

import json
import shutil

import pytest

from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange.delistings import is_met, new_name
from tests.exchange.incidents import milliseconds
from tests.exchange.listing import FUTURES
from tests.exchange.market import Market
from tests.exchange.running import running

NOW, LATER = "2025-10-18T00:00:00Z", "2025-10-18T01:00:00Z"
SPAN = ("--start", "2025-10-05", "--end", "2025-10-17")
BACKFILL = ("backfill", "futures", "--currency", "ETH", *SPAN)
ONE_DAY = (
    "backfill",
    "futures",
    "--currency",
    "BTC,ETH",
    "--instruments",
    "BTC-31OCT25",
    "--start",
    "2025-10-16",
    "--end",
    "2025-10-17",
)
LIVING = [
    each.name for each in FUTURES if each.creation_ms < milliseconds(NOW) < each.expiration_ms
]
(MET,) = filter(is_met, LIVING)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Return the folder of a lake that has seen the healthy lists, a day of one future, no more."""
    with running(limits=False, options_since="2025-09-01") as exchange:
        lake = tmp_path_factory.mktemp("delistings") / "lake"
        product = InProcess(Product(lake, exchange.url))
        done = product.run(*ONE_DAY)
        assert done.returncode == 0, done.stderr
        assert product.run("universe", "rebuild").returncode == 0
    return product.lake


@pytest.fixture
def under(seen, tmp_path):
    """Return a function that runs commands on a copy of that lake, an hour later, under a fault."""
    lake = tmp_path / "lake"
    shutil.copytree(seen, lake)

    def run(fault, *commands):
        with running(limits=False, faults=fault, now=LATER, options_since="2025-09-01") as exchange:
            quick = (("DERIBIT_LAKE_RETRY_ATTEMPTS", "2"),)
            product = InProcess(Product(lake, exchange.url, quick))
            return [product.run(*command) for command in commands]

    return run


def intervals(under, fault):
    """Return the intervals of what something befell, after the lists were fetched again."""
    *_, shown = done = under(
        fault, ONE_DAY, ("universe", "rebuild"), ("universe", "show", "--json")
    )
    assert [each.returncode for each in done] == [0, 0, 0], [each.stderr for each in done]
    rows = json.loads(shown.stdout)
    return [row for row in rows if row["instrument"] in {MET, new_name(MET)}]


def test_a_rename_ends_an_interval_of_the_same_number(under):
    before, after = intervals(under, "renamed")

    assert (before["instrument"], after["instrument"]) == (MET, new_name(MET))
    assert before["instrument_id"] == after["instrument_id"]
    assert before["valid_to"] == after["valid_from"]
    assert after["valid_to"] is None


def test_a_relisting_ends_the_interval_of_the_old_number(under):
    before, after = intervals(under, "relisted")

    assert before["instrument"] == after["instrument"] == MET
    assert before["instrument_id"] != after["instrument_id"]
    assert before["valid_to"] == after["valid_from"]


def test_a_change_of_tick_size_is_history(under):
    before, after = intervals(under, "reticked")

    assert after["tick_size"] == 2 * before["tick_size"]
    assert before["valid_to"] == after["valid_from"]


@pytest.mark.parametrize("command", ["universe show", "universe refresh --currency USDC"])
def test_a_torn_universe_is_one_line_and_is_rebuilt(under, tmp_path, command):
    path = tmp_path / "lake" / "clean" / "instruments" / "all" / "all.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    torn, rebuilt = under("none", command.split(), ("universe", "rebuild"))

    assert (torn.returncode, rebuilt.returncode) == (1, 0)
    assert str(path) in torn.stderr.splitlines()[-1]
    assert len([line for line in torn.stderr.splitlines() if line.startswith("error")]) == 1
    assert "Traceback" not in torn.stderr


def test_a_list_that_shrinks_loses_no_future(under):
    (done,) = under("shrunken", (*BACKFILL, "--json"))
    found = {one["instrument"]: one for one in json.loads(done.stdout)["instruments"]}
    truth = Market(7, milliseconds(NOW)).minutes(MET, milliseconds(SPAN[1]), milliseconds(SPAN[3]))

    assert done.returncode == 0, done.stderr
    assert f"{MET} is in no list and has not expired: taken as last listed" in done.stderr
    assert (found[MET]["verdict"], found[MET]["rows"]) == ("COMPLETE", len(truth))


def test_who_asks_for_others_is_not_told_of_it(under):
    (done,) = under("shrunken", ONE_DAY)

    assert done.returncode == 0
    assert MET not in done.stderr


def test_one_that_vanishes_in_mid_run_is_an_error_of_its_own(under):
    first, again = under("vanished", (*BACKFILL, "--json"), (*BACKFILL, "--json"))

    for done in (first, again):
        found = {
            one["instrument"]: one["verdict"] for one in json.loads(done.stdout)["instruments"]
        }
        assert done.returncode == 3
        assert {name for name, verdict in found.items() if verdict != "COMPLETE"} == {MET}
        told = [
            line
            for line in done.stderr.splitlines()
            if MET in line and "instrument not found" in line
        ]
        assert len(told) == 1
    assert f"{MET} is in no list" in again.stderr
