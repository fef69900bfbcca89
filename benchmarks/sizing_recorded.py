"""Whether simulated tickers are as hard to pack as those the exchange really sent.

Recorded ones are few: 89 messages of ten options over half a minute of 2021, and twelve options at
one moment of 2026. Simulated ones are chosen alike, as many of as many options; both are packed as
raw is, by option and time.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.flood import notifications_of
from lake.messages import ZSTD_LEVEL
from tests.exchange.market import Market

RECORDED = Path(__file__).parents[2] / "shared" / "data"
SESSION, MOMENT = "ws_session_2021_07/DERIBIT.ws.1.0", "rest_results_2026_09/option_tickers.json"
SIMULATED_MS = 1_760_486_400_000
Messages = list[tuple[str, bytes]]


def compared() -> Iterator[dict[str, float | str]]:
    """Yield what a recorded and a simulated message take, plain and packed; nothing if none are."""
    if not RECORDED.is_dir():
        return
    for name, recorded in (("2021, ten options", _session()), ("2026, one moment", _moment())):
        simulated = _alike(recorded)
        yield {
            "what": name,
            "messages": len(recorded),
            "recorded_bytes": _mean(recorded),
            "simulated_bytes": _mean(simulated),
            "recorded_packed": packed(recorded),
            "simulated_packed": packed(simulated),
        }


def packed(messages: Messages) -> float:
    """Return what each of some messages takes as raw has them [bytes], without the file's frame."""
    return (_size(sorted(messages)) - _size([])) / len(messages)


def _size(messages: Messages) -> int:
    buffer = pa.BufferOutputStream()
    table = pa.table({"message": pa.array([body for _, body in messages], pa.binary())})
    pq.write_table(table, buffer, compression="zstd", compression_level=ZSTD_LEVEL)
    return int(buffer.getvalue().size)


def _mean(messages: Messages) -> float:
    return sum(len(body) for _, body in messages) / len(messages)


def _session() -> Messages:
    lines = (RECORDED / SESSION).read_text(encoding="utf-8").splitlines()
    found = [line.partition(": ")[2] for line in lines if '"ticker.' in line and "greeks" in line]
    return [(json.loads(body)["params"]["channel"], body.encode()) for body in found]


def _moment() -> Messages:
    told = json.loads((RECORDED / MOMENT).read_text(encoding="utf-8"))
    found = []
    for name, data in told.items():
        params = {"channel": f"ticker.{name}.agg2", "data": data}
        message = {"jsonrpc": "2.0", "method": "subscription", "params": params}
        found.append((name, orjson.dumps(message)))
    return found


def _alike(recorded: Messages) -> Messages:
    """Return simulated messages of as many options, as many of each, second by second."""
    counts = sorted(Counter(channel for channel, _ in recorded).values(), reverse=True)
    market = Market(7, SIMULATED_MS)
    rounds = [
        list(notifications_of(market.at(SIMULATED_MS + 1000 * second), ("BTC",)))
        for second in range(counts[0])
    ]
    step = len(rounds[0]) // len(counts)
    return [
        rounds[second][option * step]
        for option, count in enumerate(counts)
        for second in range(count)
    ]
