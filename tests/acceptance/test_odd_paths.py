"""A lake's path is a path, whatever is in it: every command that reads one, beside other lakes."""

import io
import shutil
from pathlib import Path

import pytest

from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running

WINDOW = ("--start", "2025-10-01", "--end", "2025-10-01T02:00")
NAMES = (
    "lake[12]",
    "lake*",
    "-x",
    "year=2020 a'b\"c {lake1,lake2} #50%20 $HOME ~ünï☃; (x|y) & back\\slash?",
)


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def two_hours(exchange, tmp_path_factory):
    """Return a lake with two hours of what the other datasets are computed from."""
    product = InProcess(Product(tmp_path_factory.mktemp("lakes") / "lake", exchange.url))
    for words in (("perpetuals",), ("funding",), ("futures", "--currency", "BTC")):
        assert product.run("backfill", *words, *WINDOW).returncode == 0
    return product.lake


@pytest.mark.parametrize("name", NAMES)
def test_every_command_reads_the_lake_it_is_given_and_no_other(
    exchange, two_hours, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    product = InProcess(Product(Path(name), exchange.url))
    shutil.copytree(two_hours, tmp_path / name)
    for other in ("lake1", "lake2"):  # what holds for BTC there is the other's
        candles = shutil.copytree(two_hours / "clean", tmp_path / other / "clean")
        eth, btc = sorted((candles / "perpetuals_ohlcv").glob("*/*.parquet"), reverse=True)
        shutil.copy(eth, btc)
    count = "SELECT instrument, count(*) AS n FROM perpetuals_ohlcv GROUP BY 1 ORDER BY 1"
    expected = "instrument,n\nBTC-PERPETUAL,120\nETH-PERPETUAL,120\n"

    def told(*words):
        done = product.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    assert "COMPLETE" in told(f"--lake={name}", "status")
    assert "rebuilt" in told("replay")
    told("compute", "basis", "--currency", "BTC")
    assert told("query", count, "--format", "csv") == expected
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{count};\n"))
    assert "BTC-PERPETUAL" in told("sql")
    assert told("verify").startswith("0 faults in ")
    told("query", count, "--format", "csv", "--out", f"{name}.csv")
    told("report", "--out", f"{name} whole.html")
    told("report", "--dataset", "perpetuals_ohlcv", "--out", f"{name}.html")
    told("quality", "--out", f"{name} reports")

    assert (tmp_path / f"{name}.csv").read_text() == expected
    page = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
    assert "120 of 120 minutes held" in page
    whole = (tmp_path / f"{name} whole.html").read_text(encoding="utf-8")
    assert "<h2>Basis of futures" in whole
    assert len(list((tmp_path / f"{name} reports").iterdir())) == 4
