"""Raw attempts written by hand: bodies as Deribit sends them, staged into a lake on disk."""

import itertools
from datetime import UTC, datetime

import msgspec

from etl.backfill.fold import fold
from etl.catalog import find_fetched
from etl.proof.protocol import Rules, Terms
from etl.sources.funding_rates import FUNDING_RATES
from lake import raw
from lake.partition import Partition
from lake.paths import open_lake
from lake.span import Span

MINUTE = 60_000
HOUR = 60 * MINUTE
BTC = "BTC-PERPETUAL"
MINUTES = find_fetched("perpetuals_ohlcv")
RULES = Rules(settle_ms=0, confirm_after_ms=0, outages=())
START = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp() * 1000)
NOW = START + 24 * HOUR
PARTITION = Partition("perpetuals_ohlcv", BTC, "2024")
FUNDED = Partition("funding_rates", BTC, "2024")
TERMS = Terms(
    life=Span(0, 2**53), now_ms=NOW, rules=RULES
)  # every row is settled at once, and every hole at its second look

_numbers = itertools.count()


def chart(ticks, **columns):
    """Body of a page of candles at 100, with other columns where given."""
    size = len(ticks)
    flat = {name: [100.0] * size for name in ("open", "high", "low", "close")}
    rest = {"volume": [2.0] * size, "cost": [200.0] * size}
    return envelope({"status": "ok", "ticks": list(ticks), **flat, **rest, **columns})


def funding(ticks, **columns):
    """Body of a page of funding rates."""
    row = {"index_price": 100.0, "prev_index_price": 100.0, "interest_1h": 0.0, "interest_8h": 0.0}
    return envelope([{"timestamp": tick, **row, **columns} for tick in ticks])


def envelope(result, **members):
    return msgspec.json.encode({"jsonrpc": "2.0", "result": result, **members})


def minutes(*numbers):
    """Timestamps of the minutes since `START`."""
    return [START + number * MINUTE for number in numbers]


def attempt(body, window=None, *, fetched=None, outcome="ok", name=None, params="{}"):
    """One attempt; fetched at the end of the day, one microsecond after the one before."""
    number = next(_numbers)
    start, end = window or (START, START + 10 * MINUTE)
    moment = (NOW * 1000 if fetched is None else fetched * 1000) + number
    return raw.Attempt(
        attempt_id=name or f"{number:06}",
        fetched_at=moment,
        host="https://sim",
        params=params,
        window_start=start * 1000,
        window_end=end * 1000,
        outcome=outcome,
        http_status=200,
        us_in=moment,
        us_out=moment,
        body=body,
    )


def lake_of(root, *attempts, dataset=MINUTES, partition=PARTITION):
    """A lake with these attempts staged, each in a segment of its own."""
    lake = open_lake(root, create=True)
    folder = dataset.raw_folder(lake, partition)
    for one in attempts:
        raw.stage([one], folder)
    return lake


def folded(lake, wanted=None, *, dataset=MINUTES, partition=PARTITION, terms=TERMS):
    """What the staged attempts of a partition amount to."""
    spans = [Span(*(wanted or (START, START + 10 * MINUTE)))]
    return fold(lake, dataset, partition, spans, terms)


def folded_funding(lake, wanted, **options):
    return folded(lake, wanted, dataset=FUNDING_RATES, partition=FUNDED, **options)
