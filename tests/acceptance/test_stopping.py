"""`kill` of a command in the background of a script ends it within a second, wherever it is."""

import socket
import time

from tests.acceptance.background import in_background
from tests.acceptance.command import Product
from tests.exchange.running import running

WITHIN_S = 10  # a second on a quiet machine; what never ends would take longer
BACKFILL = ("backfill", "perpetuals", "--start", "2025-08-15")
ENDLESS = "SELECT count(*) FROM range(1000000000000) a WHERE hash(a) = 1"


def until(is_so):
    deadline = time.monotonic() + 30
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert is_so()


def pages(lake):
    return list(lake.glob("raw/*/*/*/*/*.parquet"))


def test_a_backfill_keeps_what_it_has_and_the_next_run_leaves_no_half_file(tmp_path):
    with running(latency_ms=300) as exchange:
        product = Product(tmp_path / "lake", exchange.url)
        with in_background(product, *BACKFILL) as run:
            until(lambda: len(pages(product.lake)) >= 10)
            code, seconds, said = run.stop()
            assert run.left_behind() == []
        kept = len(pages(product.lake))
        again = product.run(*BACKFILL)

    assert (code, seconds < WITHIN_S) == (143, True)
    assert "interrupted: what was fetched is kept" in said
    assert "Traceback" not in said
    assert kept >= 10
    assert again.returncode == 0
    assert list(product.lake.glob("**/*.tmp")) == []


def test_a_run_that_waits_for_the_exchange_to_come_back_stops_too(tmp_path):
    with running(outage="html_503") as exchange:
        product = Product(tmp_path / "lake", exchange.url)
        with in_background(product, *BACKFILL) as run:
            until(lambda: exchange.stats()["outage"]["met"] >= 5)
            code, seconds, said = run.stop()

    assert (code, seconds < WITHIN_S) == (143, True)
    assert "Traceback" not in said


def test_a_query_stops(tmp_path):
    product = Product(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "lake.json").write_text('{"format": 2}')
    with in_background(product, "query", ENDLESS) as run:
        time.sleep(2)
        code, seconds, said = run.stop()

    assert (code, seconds < WITHIN_S) == (143, True), said
    assert "Traceback" not in said


def test_a_call_into_a_library_that_hears_no_signal_is_left(tmp_path):
    """A database that takes the connection and says nothing holds libpq for ever."""
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "lake.json").write_text('{"format": 2}')
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = (("DERIBIT_LAKE_DSN", f"postgresql://u@127.0.0.1:{port}/d"),)
        product = Product(tmp_path / "lake", "http://127.0.0.1:9", settings)
        with in_background(product, "load") as run:
            silent.settimeout(30)
            connection, _ = silent.accept()
            with connection:
                code, seconds, said = run.stop()

    assert (code, seconds < WITHIN_S) == (143, True)
    assert "Traceback" not in said
