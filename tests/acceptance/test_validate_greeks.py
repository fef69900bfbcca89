"""From the exchange's tickers over a socket to a verdict on Greeks, on the command line."""

import json

import polars as pl
import pytest

from lake.paths import Lake
from tests import greek_tickers
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange.incidents import milliseconds
from tests.exchange.relay import relaying
from tests.exchange.running import running

FREE = (("DERIBIT_LAKE_CREDIT_CAPACITY", "1e9"), ("DERIBIT_LAKE_CREDIT_REFILL", "1e9"))
CHAIN = "public/get_book_summary_by_currency"
VALIDATE = ("validate-greeks", "--out")
DAY_MS = milliseconds("2025-10-16")
ROWS = 90


@pytest.fixture(scope="module")
def url():
    with running(limits=False, options_since="2025-10-17", option_activity=0.02) as exchange:
        yield exchange.url


@pytest.fixture(scope="module")
def healthy(url, tmp_path_factory):
    """A lake with the tickers of a part of the chain."""

    def thinned(answer):
        return answer.with_result(answer.result[:ROWS]) if answer.method == CHAIN else answer

    with relaying(url, thinned) as relay:
        product = InProcess(Product(tmp_path_factory.mktemp("greeks") / "lake", relay, FREE))
        done = product.run("snapshot", "options", "--currency", "BTC", "--tickers")
        assert done.returncode == 0, done.stdout + done.stderr
    return product


def altered(product, folder, change):
    """A lake whose one file is another's, changed."""
    (path,) = product.lake.glob("clean/option_tickers/BTC/*.parquet")
    other = folder / "lake/clean/option_tickers/BTC" / path.name
    other.parent.mkdir(parents=True)
    change(pl.read_parquet(path)).write_parquet(other)
    return InProcess(Product(folder / "lake", "http://127.0.0.1:9"))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    greek_tickers.publish(Lake(folder / "lake"), "BTC", DAY_MS, days=1, every_hours=12)
    return InProcess(Product(folder / "lake", "http://127.0.0.1:9"))


def test_the_exchange_s_own_tickers_pass(healthy, tmp_path):
    done = healthy.run(*VALIDATE, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"Greeks of {ROWS} tickers, 2025-10-18 to 2025-10-18" in done.stdout
    assert "verdict: PASS" in done.stdout
    names = ["greeks.html", "greeks_errors.csv", "greeks_outside.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert pl.read_csv(tmp_path / "greeks_outside.csv").is_empty()


def test_what_is_printed_is_json_too(healthy, tmp_path):
    told = json.loads(healthy.run(*VALIDATE, tmp_path, "--json").stdout)

    assert (told["verdict"], told["rows"], told["failed"], told["hints"]) == ("PASS", ROWS, [], [])
    assert {line["quantity"] for line in told["overall"]} > {"mark_price", "rho"}


def test_an_exchange_whose_vega_is_another_ends_with_3_and_names_the_worst_bucket(
    healthy, tmp_path
):
    odd = altered(healthy, tmp_path, lambda rows: rows.with_columns(pl.col("vega") * 1.02))
    done = odd.run(*VALIDATE, tmp_path / "out")

    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "the worst: vega of BTC, " in done.stderr
    assert "verdict: FAIL" in done.stdout
    assert "no convention tried explains it" in done.stdout


def test_a_chain_without_tickers_says_what_to_run(url, tmp_path):
    product = InProcess(Product(tmp_path / "lake", url, FREE))
    assert product.run("snapshot", "options", "--currency", "BTC").returncode == 0

    done = product.run(*VALIDATE, tmp_path)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no ticker with Greeks" in done.stderr
    assert "--tickers`" in done.stderr


@pytest.mark.parametrize(("words", "told"), [
    (("--age", "old"), "--age 'old': expected seconds from 0 to 3600, or auto"),
    (("--currency", "ETH"), "settled in 'ETH'; there are: BTC"),
    (("--currency", ","), "--currency ',' names nothing"),
    (("--days", "3", "--start", "2025-10-16"), "--days counts back from the last day held"),
    (("--start", "2025-10-20"), "those held are of 2025-10-16 to 2025-10-16"),
    (("--start", "yesterday"), "--start 'yesterday' is not a date"),
])  # fmt: skip
def test_what_cannot_be_compared_is_one_line(simulated, tmp_path, words, told):
    done = simulated.run(*VALIDATE, tmp_path, *words)

    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("days", ["0", "-3", "many", "1.5"])
def test_days_are_a_number_from_one_on(simulated, tmp_path, days):
    done = simulated.run(*VALIDATE, tmp_path, "--days", days)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"--days {days!r}: expected a number of days, 1 or more" in done.stderr


def test_an_empty_lake_says_what_to_run(tmp_path):
    done = InProcess(Product(tmp_path / "lake", "http://127.0.0.1:9")).run(*VALIDATE, tmp_path)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "holds nothing of option_tickers yet: run `deribit-lake snapshot options" in done.stderr


def test_a_renamed_column_is_one_line_that_names_it(simulated, tmp_path):
    odd = altered(simulated, tmp_path, lambda rows: rows.rename({"vega": "kappa"}))
    done = odd.run(*VALIDATE, tmp_path)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "has no column vega: run `deribit-lake replay`" in done.stderr


def test_too_few_rows_end_with_4(simulated, tmp_path):
    few = altered(simulated, tmp_path, lambda rows: rows.head(9))
    done = few.run(*VALIDATE, tmp_path)

    assert (done.returncode, "verdict: UNKNOWN" in done.stdout) == (4, True)
