import csv
import http.server
import io
import json
import os
import signal
import socket
import subprocess
import threading
import time

import polars as pl
import pytest

import cli
from tests.acceptance.command import FROM_A_TERMINAL, Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running

WINDOW = ("--start", "2025-10-01", "--end", "2025-10-03")
MINUTES = 2 * 1440


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def filled(exchange, tmp_path_factory):
    """Return a lake with two days of both perpetuals and of their funding."""
    product = InProcess(Product(tmp_path_factory.mktemp("filled") / "lake", exchange.url))
    for what in ("perpetuals", "funding"):
        assert product.run("backfill", what, *WINDOW).returncode == 0
    return product.lake


@pytest.fixture
def invoke(exchange, tmp_path, monkeypatch, capsys):
    """Return a function that runs one command in this process: ``(exit code, stdout, stderr)``."""
    monkeypatch.setenv("DERIBIT_LAKE_HOST", exchange.url)
    monkeypatch.setenv("DERIBIT_LAKE_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("DERIBIT_LAKE_LOG_DIR", str(tmp_path / "logs"))

    def run(*words):
        monkeypatch.setattr("sys.argv", ["deribit-lake", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    return run


def error_of(outcome):
    code, _, err = outcome
    lines = [line for line in err.splitlines() if not line.startswith("20")]  # log lines aside
    assert code == 1
    assert len(lines) == 1, err
    return lines[0]


def test_ping_tells_version_time_and_latency(invoke):
    code, out, _ = invoke("ping")

    answer = json.loads(out)
    assert (code, answer["status"], answer["api_version"]) == (0, "ok", "1.2.26")
    assert answer["timestamp"] == 1_760_745_600_000
    assert answer["latency_ms"] > 0
    assert answer["clock_skew_ms"] == pytest.approx(time.time() * 1000 - 1_760_745_600_000, abs=5e3)


def test_a_backfill_says_what_it_holds_and_ends_complete(invoke, tmp_path):
    code, out, _ = invoke("backfill", "perpetuals", *WINDOW, "--json")

    answer = json.loads(out)
    assert (code, answer["verdict"]) == (0, "COMPLETE")
    assert [one["rows"] for one in answer["instruments"]] == [MINUTES, MINUTES]
    assert sorted(digests(tmp_path / "lake")) == [
        "clean/perpetuals_ohlcv/BTC-PERPETUAL/2025.parquet",
        "clean/perpetuals_ohlcv/ETH-PERPETUAL/2025.parquet",
    ]


def test_clean_candles_have_the_promised_columns_for_any_reader(filled):
    frame = pl.read_parquet(filled / "clean" / "perpetuals_ohlcv" / "**" / "*.parquet")

    assert frame.columns == [
        "timestamp", "instrument", "open", "high", "low", "close", "volume", "cost",
    ]  # fmt: skip
    assert frame.schema["timestamp"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("resolution", ["3", "15", "60", "360", "720", "1D"])
def test_other_resolutions_go_to_datasets_of_their_own(invoke, tmp_path, resolution):
    words = ("--instruments", "BTC-PERPETUAL", "--resolution", resolution, *WINDOW)
    code, _, _ = invoke("backfill", "perpetuals", *words)

    folder = tmp_path / "lake" / "clean" / f"perpetuals_ohlcv_{resolution}"
    step = 1440 if resolution == "1D" else int(resolution)
    assert code == 0
    assert len(pl.read_parquet(folder / "*" / "*.parquet")) == MINUTES // step


def test_a_start_before_the_listing_is_reported_and_no_error(invoke):
    words = ("--instruments", "BTC-PERPETUAL", "--start", "2016-12-01", "--end", "2018-08-15")
    code, out, _ = invoke("backfill", "perpetuals", *words)

    assert code == 0
    assert "note: BTC-PERPETUAL was listed 2018-08-14 10:24 UTC" in out


def test_an_end_before_the_listing_leaves_nothing_to_do(invoke):
    words = ("--instruments", "BTC-PERPETUAL", "--start", "2016-12-01", "--end", "2017-01-01")
    code, out, _ = invoke("backfill", "perpetuals", *words)

    assert code == 0
    assert "there is nothing before to fetch" in out


@pytest.mark.parametrize("way", [("plan", "perpetuals"), ("backfill", "perpetuals", "--dry-run")])
def test_a_plan_states_its_cost_and_writes_nothing(invoke, tmp_path, way):
    code, out, _ = invoke(*way, "--start", "2025-01-01", "--end", "2025-10-01", "--json")

    cost = json.loads(out)
    assert (code, cost["rows"], cost["rows_held"]) == (0, 2 * 273 * 1440, 0)
    assert (cost["requests"], cost["seconds"]) == (158, pytest.approx(2.9))
    assert not (tmp_path / "lake").exists()


def test_status_says_the_verdict_by_its_exit_code(invoke, filled):
    held = invoke("--lake", filled, "status", "--json")
    nothing = invoke("status")

    assert (held[0], json.loads(held[1])["verdict"]) == (0, "COMPLETE")
    assert (nothing[0], nothing[1].splitlines()[-1]) == (4, "verdict: UNKNOWN")


def test_heal_finds_nothing_to_do_in_a_complete_lake(invoke, filled):
    code, out, _ = invoke("--lake", filled, "heal")

    assert (code, out.splitlines()[0].split()[0]) == (0, "1")  # the list of instruments


def test_quality_passes_clean_data_and_writes_its_reports(invoke, filled, tmp_path):
    code, out, _ = invoke("--lake", filled, "quality", "--out", tmp_path / "reports")

    written = {path.name for path in (tmp_path / "reports").rglob("*.csv")}
    assert (code, "gap" in out) == (0, True)
    assert {"gap_report.csv", "sanity_report.csv", "outlier_report.csv"} <= written


def test_replay_rebuilds_the_same_bytes_offline(invoke, filled):
    before = digests(filled) | digests(filled, "derived")
    code, out, _ = invoke("--lake", filled, "--host", "http://127.0.0.1:9", "replay")
    after = digests(filled) | digests(filled, "derived")

    # two perpetuals, their funding, their indices, and the instruments, which are folded now
    assert (code, out.startswith("rebuilt 7 partitions, ")) == (0, True)
    assert {path: after[path] for path in before} == before
    assert len(before) == 6


@pytest.mark.parametrize(
    ("form", "parse"),
    [
        ("csv", lambda text: [int(row["n"]) for row in csv.DictReader(io.StringIO(text))]),
        ("json", lambda text: [row["n"] for row in json.loads(text)]),
    ],
)
def test_query_answers_in_forms_programs_read(invoke, filled, form, parse):
    sql = "SELECT count(*) AS n FROM perpetuals_ohlcv GROUP BY instrument"
    code, out, _ = invoke("--lake", filled, "query", sql, "--format", form)

    assert (code, parse(out)) == (0, [MINUTES, MINUTES])


def test_query_writes_parquet_to_a_file(invoke, filled, tmp_path):
    words = ("query", "SELECT * FROM funding_rates", "--format", "parquet", "--out")
    code, _, _ = invoke("--lake", filled, *words, tmp_path / "x.parquet")

    assert (code, len(pl.read_parquet(tmp_path / "x.parquet"))) == (0, 2 * 48)


def test_sql_answers_line_by_line_until_the_input_ends(filled, exchange):
    asked = subprocess.run(
        Product(filled, exchange.url).command("sql"),
        input="SELECT 40 +\n 2 AS answer;\nDROP VIEW x;\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert asked.returncode == 1, asked.stderr
    assert "42" in asked.stdout
    assert "read-only" in asked.stdout


def test_report_writes_one_self_contained_page_of_the_whole_lake(invoke, filled, tmp_path):
    code, out, _ = invoke("--lake", filled, "report", "--out", tmp_path / "page.html")

    page = (tmp_path / "page.html").read_text()
    assert (code, out) == (0, f"wrote {tmp_path / 'page.html'}\n")
    for name in ("BTC-PERPETUAL", "funding_rates", "index_prices"):
        assert name in page
    assert "<script" not in page
    assert len(page) < 100_000


def test_report_of_a_dataset_draws_its_candles(invoke, filled, tmp_path):
    words = ("--dataset", "perpetuals_ohlcv", "--out", tmp_path / "page.html")
    code, _, _ = invoke("--lake", filled, "report", *words)

    page = (tmp_path / "page.html").read_text()
    assert code == 0
    assert page.count('"type":"candlestick"') == 2
    assert 'src="http' not in page


def test_report_of_an_empty_lake_says_so(invoke, tmp_path):
    code, _, _ = invoke("report", "--out", tmp_path / "page.html")

    assert code == 0
    assert "Nothing is held yet." in (tmp_path / "page.html").read_text()
    assert not (tmp_path / "lake").exists()


def test_a_report_that_cannot_be_written_is_one_clear_error(invoke, filled, tmp_path):
    (tmp_path / "file").touch()

    message = error_of(invoke("--lake", filled, "report", "--out", tmp_path / "file" / "page.html"))

    assert str(tmp_path / "file") in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--instruments", "BTC-PERP"), "no instrument 'BTC-PERP'; nearest: BTC-PERPETUAL"),
        (("--start", "2025-02-01", "--end", "2025-01-01"), "2025-02-01 is not before --end 2025"),
        (("--end", "2031-01-01"), "--end 2031-01-01 00:00 is in the future"),
        (("--start", "2031-01-01"), "--start 2031-01-01 00:00 is in the future"),
        (("--start", "01/02/2025"), "--start '01/02/2025' is not a date: expected e.g. 2024-06-30"),
        (("--resolution", "7"), "no resolution '7' of perpetuals_ohlcv; there are 1, 3, 5"),
        (("--instruments", ","), "--instruments ',' names nothing: expected names"),
    ],
)
def test_bad_input_is_one_line_naming_the_value(invoke, tmp_path, words, message):
    assert message in error_of(invoke("backfill", "perpetuals", *words))
    assert digests(tmp_path / "lake") == {}


def test_an_unreachable_host_is_one_line(invoke):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = error_of(invoke("--host", f"http://127.0.0.1:{port}", "ping"))

    assert message.startswith(f"error: http://127.0.0.1:{port} did not answer public/test")


def test_a_host_that_answers_html_is_one_line(invoke):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(502)
            self.end_headers()
            self.wfile.write(b"<html><body>Bad gateway</body></html>")

        def log_message(self, *words):
            """Say nothing: stderr is what is tested."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        message = error_of(invoke("--host", f"http://127.0.0.1:{server.server_port}", "ping"))
        server.shutdown()

    assert "HTTP 502 with no JSON-RPC envelope: '<html><body>Bad gateway" in message


@pytest.mark.parametrize(
    "command", [("status",), ("backfill", "perpetuals"), ("query", "SELECT 1")]
)
def test_a_lake_of_a_newer_version_is_refused(invoke, tmp_path, command):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "lake.json").write_text('{"format": 99}')

    assert "has format 99, written by a newer deribit-lake" in error_of(invoke(*command))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_lake_is_one_line(invoke, tmp_path):
    tmp_path.chmod(0o500)
    message = error_of(invoke("backfill", "perpetuals", *WINDOW))
    tmp_path.chmod(0o700)

    assert message.startswith("error: cannot write ")


def test_a_lake_that_is_a_file_is_one_line(invoke, tmp_path):
    (tmp_path / "lake").write_text("not a folder")

    assert "cannot write" in error_of(invoke("backfill", "perpetuals", *WINDOW))


def test_a_corrupt_file_is_named_then_set_aside_and_rebuilt(invoke, tmp_path):
    words = ("--instruments", "BTC-PERPETUAL", *WINDOW)
    assert invoke("backfill", "perpetuals", *words)[0] == 0
    path = tmp_path / "lake" / "clean" / "perpetuals_ohlcv" / "BTC-PERPETUAL" / "2025.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])

    report = ("report", "--dataset", "perpetuals_ohlcv")
    for command in (("query", "SELECT count(*) FROM perpetuals_ohlcv"), ("quality",), report):
        assert f"{path} is corrupt" in error_of(invoke(*command))
    assert invoke("verify")[0] == 1
    assert invoke("verify", "--quarantine")[0] == 1
    assert not path.exists()
    assert invoke("status")[0] == 4
    assert invoke("replay")[0] == 0
    assert path.read_bytes() == whole
    assert invoke("verify")[0] == 0


def test_a_second_backfill_is_told_who_is_writing(invoke, tmp_path):
    with running(latency_ms=300) as slow:
        first = Product(tmp_path / "lake", slow.url)
        words = (
            "backfill",
            "perpetuals",
            "--instruments",
            "BTC-PERPETUAL",
            "--start",
            "2025-01-01",
        )
        process = first.start(*words)
        lock = tmp_path / "lake" / "ledger" / "perpetuals_ohlcv" / "BTC-PERPETUAL" / "2025.lock"
        while not (lock.exists() and lock.read_text()):
            time.sleep(0.02)
        message = error_of(invoke(*words))
        assert process.wait() == 0

    assert f"is being written by process {process.pid}" in message


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_the_next_goes_on(tmp_path, how):
    with running(latency_ms=200) as slow:
        product = Product(tmp_path / "lake", slow.url)
        words = ("backfill", "perpetuals", "--start", "2025-06-01")
        process = subprocess.Popen(
            [*FROM_A_TERMINAL, *product.command(*words)],
            env=product.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        while len(list(product.lake.glob("raw/*/*/*/*/*.parquet"))) < 20:
            time.sleep(0.02)
        process.send_signal(how)
        _, err = process.communicate()
        kept = slow.stats()["requests"]
        again = InProcess(product).run(*words)
        total = slow.stats()["requests"]

    assert process.returncode == 128 + how
    assert "interrupted: what was fetched is kept" in err
    assert "Traceback" not in err
    assert again.returncode == 0
    assert total - kept < kept + 60  # of some 84 windows, those held were not asked for again
