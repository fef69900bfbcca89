"""The user's own first command, at its full size, against the exchange's real limits."""

import json
import math

import pytest

from tests.acceptance.command import Product, digests
from tests.exchange.market import Market
from tests.exchange.running import running

END_MS = 1_760_745_600_000  # 2025-10-18
BACKFILL = (
    "backfill", "perpetuals", "--instruments", "BTC-PERPETUAL",
    "--start", "2016-12-01", "--end", "2025-10-18", "--resolution", "1", "--json",
)  # fmt: skip


@pytest.mark.slow
def test_nine_years_of_minutes_arrive_complete_within_the_credits_and_the_memory(tmp_path):
    with running(latency_ms=100) as exchange:
        product = Product(tmp_path / "lake", exchange.url)
        first, peak_mb = product.run_measured(*BACKFILL)
        sent = exchange.stats()["requests"]
        before = digests(product.lake)
        second = product.run(*BACKFILL)
        again = exchange.stats()["requests"] - sent
    minutes = Market(7, END_MS).minutes("BTC-PERPETUAL", 0, END_MS)
    holes = int((minutes[1:] - minutes[:-1] > 60_000).sum())

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    status = json.loads(first.stdout)["instruments"][0]
    assert (status["verdict"], status["rows"]) == ("COMPLETE", len(minutes))
    assert sent <= math.ceil(len(minutes) / 5_000) + 2 * holes + 8 + 1  # years, instruments
    assert again <= 2
    assert digests(product.lake) == before
    assert len(before) == 8
    assert 100 < peak_mb <= 500
