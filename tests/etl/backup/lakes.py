"""Small lakes to back up: raw, clean, derived, ledger, a live day, a journal."""

import hashlib

import polars as pl

from etl import pipeline
from etl.progress import LogProgress
from etl.sources.funding_rates import FUNDING_RATES
from lake import raw
from lake.journal import Journal
from lake.live import publish_live
from lake.partition import Partition
from lake.publish import publish
from tests.etl.staged import (
    BTC,
    FUNDED,
    HOUR,
    MINUTES,
    PARTITION,
    START,
    attempt,
    chart,
    envelope,
    folded,
    folded_funding,
    funding,
    lake_of,
    minutes,
)

ETH = "ETH-PERPETUAL"
OTHER = Partition("perpetuals_ohlcv", ETH, "2024")
LISTED = [
    {
        "instrument_name": name,
        "kind": "future",
        "creation_timestamp": START,
        "settlement_period": "perpetual",
        "tick_size": 0.5,
    }
    for name in (BTC, ETH)
]


def filled(root):
    """A lake with ten minutes of two perpetuals, funding, index prices of it, and live data."""
    lake = lake_of(root, attempt(chart(minutes(*range(10)))), attempt(chart(minutes(3, 4))))
    listing = attempt(envelope(LISTED), (0, 0))
    raw.stage([listing], lake.raw("get_instruments", currency="any", kind="future"))
    publish(lake, PARTITION, folded(lake))
    raw.stage([attempt(chart(minutes(*range(10))))], MINUTES.raw_folder(lake, OTHER))
    publish(lake, OTHER, folded(lake, partition=OTHER))
    hours = (START, START + 3 * HOUR)
    raw.stage(
        [attempt(funding([START + n * HOUR for n in range(3)]), hours)],
        FUNDING_RATES.raw_folder(lake, FUNDED),
    )
    publish(lake, FUNDED, folded_funding(lake, hours))
    pipeline.derive(lake, ["funding_rates"], LogProgress())
    row = pl.DataFrame({"instrument": [BTC], "timestamp": [START]})
    publish_live(lake, "perpetuals_ohlcv", "2024-03-01", row.to_arrow(), ["instrument"])
    journal = Journal.open(lake, START * 1000)
    journal.append([(START * 1000, 1, "ticker", "ticker.BTC", b"{}")])
    journal.write()
    journal.close()
    return lake


def digests(root):
    """The digest of every file of a lake, but what a process or a backup keeps for itself."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and (name := str(path.relative_to(root))).split("/")[0] not in {"backup", "operations"}
        and not name.endswith(".lock")
    }
