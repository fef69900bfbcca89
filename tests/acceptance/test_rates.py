"""Yields of US bills, over a socket: fetched, kept, proved, asked again, and what goes wrong."""

import fcntl
import json
import signal
import time
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange import bills
from tests.exchange.running import running

FETCH = ("backfill", "rates", "--start", "2023-11-01", "--end", "2024-03-01")
SLOW = pytest.mark.slow
ONCE = ("DERIBIT_LAKE_RETRY_ATTEMPTS", "1")
DAYS = bills.days(date(2023, 11, 1), date(2024, 2, 29))


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as running_one:
        yield running_one


def product_at(folder, exchange, *settings):
    urls = [(f"DERIBIT_LAKE_{name}_URL", exchange.url) for name in ("TREASURY", "FRED")]
    quick = ("DERIBIT_LAKE_RETRY_ATTEMPTS", "2")
    return Product(folder / "lake", exchange.url, (*urls, quick, *settings))


def at(folder, exchange, *settings):
    return InProcess(product_at(folder, exchange, *settings))


def served(folder, faults, *settings):
    """Return what a run says against sources with faults, and the lake it leaves."""
    with running(limits=False, rate_faults=faults) as exchange:
        product = at(folder, exchange, *settings)
        return product.run(*FETCH), product


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, exchange):
    product = at(tmp_path_factory.mktemp("healthy"), exchange)
    done = product.run(*FETCH)
    assert done.returncode == 0, done.stdout + done.stderr
    return product


def held(product):
    files = sorted(product.lake.glob("clean/treasury_bills/USD/*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in files])


def test_every_day_is_held_and_what_is_published_is_the_truth(healthy):
    rows = held(healthy)
    own = rows.filter(~pl.col("is_carried"))

    assert rows["timestamp"].dt.date().to_list() == DAYS
    assert own["timestamp"].dt.date().to_list() == [day for day in DAYS if bills.has_curve(day)]
    for day, rate in own.select(pl.col("timestamp").dt.date(), "rate_3m").iter_rows():
        half = bills.yields(day)[3.0] / 200
        assert (1 + half) ** 2 == pytest.approx(2.718281828459045**rate, abs=1e-11)


def test_status_verify_query_replay_and_plan_cover_it(healthy):
    before = digests(healthy.lake)
    told = json.loads(healthy.run("status", "--dataset", "rates", "--json").stdout)
    asked = healthy.run("query", "SELECT count(*) AS n FROM treasury_bills", "--format", "csv")

    assert (told["verdict"], told["instruments"][0]["rows"]) == ("COMPLETE", len(DAYS))
    assert asked.stdout == f"n\n{len(DAYS)}\n"
    assert healthy.run("verify").returncode == 0
    assert healthy.run("replay", "--dataset", "bills").returncode == 0
    assert digests(healthy.lake) == before
    assert "0 requests" in healthy.run("plan", "rates", *FETCH[2:]).stdout


def test_finished_years_are_asked_for_once_unless_anew_and_no_byte_changes(healthy, exchange):
    def asked(*more):
        before = exchange.stats()["rates"]
        assert healthy.run("backfill", "treasury_bills", *FETCH[2:], *more).returncode == 0
        return {name: n - before[name] for name, n in exchange.stats()["rates"].items()}

    before = digests(healthy.lake)
    assert asked() == {"treasury": 0, "fred": 0}
    assert asked("--anew", "--source", "treasury") == {"treasury": 4, "fred": 0}
    assert asked("--anew") == {"treasury": 4, "fred": 8}
    assert digests(healthy.lake) == before


def test_more_days_are_added_to_those_that_are_held(tmp_path, exchange):
    product = at(tmp_path, exchange)
    for first, after in (("2024-03-01", "2024-04-01"), ("2024-01-10", "2024-02-01")):
        assert product.run("backfill", "rates", "--start", first, "--end", after).returncode == 0
    months = held(product)["timestamp"].dt.month().unique().sort().to_list()

    assert (len(held(product)), months) == (31 + 22, [1, 3])


@pytest.mark.parametrize(
    ("faults", "line"),
    [
        ("fred:away", "note: fred: 8 of 8 pages did not come: fred, DGS"),
        ("treasury:html", "page titled 'Down for maintenance'; the rates are those of fred"),
        ("treasury:other_year", "asked for 2023, it has 2022"),
        ("fred:other_year", "it has 2021-12-01"),
        pytest.param("treasury:renamed", "expected BC_1MONTH, BC_1_5MONTH", marks=SLOW),
        pytest.param("treasury:half", "the feed is not whole", marks=SLOW),
        ("treasury:cut", "RemoteProtocolError"),
        pytest.param("treasury:redirect", "elsewhere.invalid/: set treasury_url if", marks=SLOW),
        pytest.param("fred:renamed", "got 'observation_date,PAR'", marks=SLOW),
    ],
)  # fmt: skip
def test_where_one_source_fails_the_other_stands_in_and_a_line_says_so(tmp_path, faults, line):
    done, product = served(tmp_path, faults, ONCE)
    failed = faults.partition(":")[0]

    assert done.returncode == 0, done.stdout + done.stderr
    assert line in done.stdout
    assert done.stdout.count("note: ") == 1
    assert failed not in set(held(product)["source"])
    assert held(product)["timestamp"].dt.date().to_list() == DAYS


@pytest.mark.parametrize(
    "faults",
    [
        "treasury:unordered,fred:old_form",
        pytest.param("treasury:plus,fred:plus", marks=SLOW),
        pytest.param("treasury:twice,fred:unordered", marks=SLOW),
        pytest.param("treasury:away:once,fred:too_many:once", marks=SLOW),
        "treasury:html:once,fred:cut:once",
    ],
)
def test_what_is_only_odd_or_passes_changes_no_byte(tmp_path, healthy, faults):
    done, product = served(tmp_path, faults)

    assert (done.returncode, "note" in done.stdout) == (0, False)
    assert digests(product.lake) == digests(healthy.lake)


def test_what_failed_is_kept_raw_and_asked_for_again(tmp_path, healthy):
    done, product = served(tmp_path, "treasury:html,fred:away", ONCE)
    staged = [pl.read_parquet(path) for path in product.lake.glob("raw/daily*/**/*.parquet")]

    assert done.returncode == 3
    assert done.stderr.count("error: ") == 2
    assert "`deribit-lake backfill rates` asks again for what is missing" in done.stdout
    assert all(b"Down for maintenance" in body for body in pl.concat(staged)["body"])
    with running(limits=False) as exchange:
        again = at(tmp_path, exchange)
        assert again.run(*FETCH).returncode == 0
    assert digests(again.lake) == digests(healthy.lake)


def test_conflicts_are_listed_and_can_be_asked_for(tmp_path):
    with running(limits=False, rate_faults="fred:disagree") as exchange:
        product = at(tmp_path, exchange)
        told = json.loads(product.run(*FETCH, "--json").stdout)
        shown = product.run(*FETCH).stdout
    days = [day for day in DAYS if day.day == 15 and bills.has_curve(day)]
    whole = bills.days(date(2023, 1, 1), date(2024, 12, 31))
    aside = [day for day in whole if day.day == 15 and bills.has_curve(day)]
    sql = "SELECT count(*) AS n FROM quarantine_treasury_bills"
    kept = product.run("query", sql, "--format", "json")

    assert [one["day"] for one in told["conflicts"]] == [str(day) for day in days for _ in range(4)]
    assert told["verdict"] == "COMPLETE"
    assert told["instruments"][0]["quarantined"] == len(aside)
    assert (
        f"conflict: {days[0]} rate_1m: treasury {bills.yields(days[0])[1.0]:.2f} %, fred" in shown
    )
    assert "conflict: 2 more, in quarantine_treasury_bills and --json" in shown
    assert json.loads(kept.stdout) == [{"n": len(aside)}]


def test_days_missing_on_both_are_settled_and_on_one_are_not(tmp_path):
    both, product = served(tmp_path / "both", "treasury:missing,fred:missing")
    one, other = served(tmp_path / "one", "treasury:missing,fred:away", ONCE)

    missing = sum(day.day == 14 and bills.has_curve(day) for day in DAYS)
    assert (both.returncode, f"absent {missing}" in both.stdout) == (0, True)
    assert (one.returncode, f"unexplained {missing}" in one.stdout) == (3, True)
    assert len(held(product)) == len(held(other)) == len(DAYS)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--start", "1989-01-01"), "the Treasury's curves begin in 1990"),
        (("--start", "2024-05-01", "--end", "2024-05-01"), "no day from 2024-05-01"),
        (("--start", "soon"), "--start 'soon' is not a date"),
    ],
)
def test_days_that_cannot_be_asked_for_are_one_line(tmp_path, exchange, words, line):
    done = at(tmp_path, exchange).run("backfill", "rates", *words)

    assert (done.returncode, line in done.stderr) == (1, True)


def test_today_is_the_last_row_whether_its_curve_is_out_or_not(tmp_path):
    today = datetime.now(UTC).date()
    with running(limits=False, now=None) as exchange:
        product = at(tmp_path, exchange)
        done = product.run("backfill", "rates", "--start", str(today - timedelta(days=9)))
        rows = held(product)
    last = rows.row(-1, named=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert today <= last["timestamp"].date() <= datetime.now(UTC).date()
    assert last["is_carried"] == (last["published_on"] < last["timestamp"])
    assert rows["published_on"].max() >= last["timestamp"] - timedelta(days=5)


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Asia/Tokyo", pytest.param("Pacific/Kiritimati", marks=SLOW)]
)
def test_the_local_time_zone_changes_no_byte(tmp_path, exchange, healthy, zone):
    product = product_at(tmp_path, exchange, ("TZ", zone))
    done = product.run(*FETCH)

    assert done.returncode == 0, done.stderr
    assert digests(product.lake) == digests(healthy.lake)


@pytest.mark.parametrize("files", [1, 4, pytest.param(7, marks=SLOW), pytest.param(10, marks=SLOW)])
def test_a_run_that_is_killed_is_made_good_by_the_next_with_the_same_bytes(
    tmp_path, exchange, healthy, files
):
    killed = product_at(tmp_path, exchange)
    process = killed.start(*FETCH)
    while len(list(killed.lake.glob("raw/*/**/*.parquet"))) < files:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    between = InProcess(killed).run("status", "--json")

    assert json.loads(between.stdout)["verdict"] in {"UNKNOWN", "INCOMPLETE"}
    assert InProcess(killed).run(*FETCH).returncode == 0
    assert digests(killed.lake) == digests(healthy.lake)


def test_another_run_of_the_same_years_is_told_who_writes_them(tmp_path, exchange):
    product = product_at(tmp_path, exchange)
    assert InProcess(product).run(*FETCH).returncode == 0
    lock = product.lake / "ledger/treasury_bills/USD/2024.lock"
    with lock.open("a") as held_by_us:
        fcntl.flock(held_by_us, fcntl.LOCK_EX)
        done = InProcess(product).run(*FETCH)

    assert done.returncode == 1
    assert "treasury_bills USD 2024 is being written by process" in done.stderr
