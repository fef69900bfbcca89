"""The database is loaded from a lake in a bucket, and verified against it."""

import pytest

from tests.acceptance.in_bucket import bucketed, last_line
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running

WORDS = ("--instruments", "BTC-PERPETUAL", "--start", "2025-10-17")


@pytest.fixture
def product(object_server, database, tmp_path):
    with running() as exchange:
        address = f"s3://{object_server.bucket()}/lake"
        told = {"store": object_server.s3, "DERIBIT_LAKE_DSN": database.dsn}
        yield InProcess(bucketed(tmp_path / "work", exchange.url, address=address, **told))


def test_candles_and_funding_of_a_bucket_are_loaded_and_verify(product):
    for dataset in ("perpetuals", "funding"):
        done = product.run("backfill", dataset, *WORDS)
        assert done.returncode == 0, done.stderr

    loaded, verified = product.run("load"), product.run("verify-db")

    assert loaded.returncode == 0, last_line(loaded)
    assert verified.returncode == 0, last_line(verified)
    assert loaded.stdout.startswith("1,489 rows inserted")  # a day: candles, funding, index prices
