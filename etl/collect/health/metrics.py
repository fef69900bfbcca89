"""What Prometheus reads of a collector: ages, counters, waits for the disk."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from etl.collect.board import WAITS_S, Board, Source
from etl.collect.health.ages import ages

TYPE = "text/plain; version=0.0.4; charset=utf-8"
APART = ("index", "dvol", "funding", "tickers", "trades")
"""Kinds whose sources are few, and stay: each has an age of its own. Of candles perpetuals have."""
COUNTERS = {
    "messages": "Messages received",
    "bytes": "Bytes of messages received",
    "dropped": "Messages given up because the queue was full",
    "paused": "Times reading paused because the disk was behind",
    "unknown_channel": "Messages of channels nobody asked for",
    "unreadable": "Messages that could not be read, kept raw",
    "refused_channel": "Channels the exchange did not take",
    "renewed": "Channels that stood still and were begun anew",
    "filled": "Rows that only REST told of",
    "confirmed": "Rows REST agreed with",
    "revised": "Rows REST told otherwise",
    "pings": "Pings that counted",
    "pings_failed": "Pings that did not count",
}


def metrics(board: Board, now_ms: int) -> bytes:
    """Return the page Prometheus asks for."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reader(board, now_ms))
    return generate_latest(registry)


class _Reader(Collector):
    """Reads a board when a registry asks."""

    def __init__(self, board: Board, now_ms: int) -> None:
        self._board, self._now_ms = board, now_ms

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        board, now_ms = self._board, self._now_ms
        yield from _ages(board, now_ms)
        yield from _gauges(board, now_ms)
        yield from _counters(board)
        yield _waits(board)


def _ages(board: Board, now_ms: int) -> Iterator[Metric]:
    name, labels = "deribit_lake_data_age", ["kind"]
    worst = GaugeMetricFamily(f"{name}_worst_seconds", "Age of the oldest source", labels=labels)
    stale = GaugeMetricFamily(
        "deribit_lake_stale_sources", "Sources beyond their limit", labels=labels
    )
    many = GaugeMetricFamily("deribit_lake_sources", "Sources watched", labels=labels)
    for kind in ages(board, now_ms):
        worst.add_metric([kind.kind], kind.worst_ms / 1000)
        stale.add_metric([kind.kind], kind.stale)
        many.add_metric([kind.kind], kind.sources)
    each = GaugeMetricFamily(
        f"{name}_seconds", "Age of the newest data of a source", labels=["kind", "subject"]
    )
    for key in sorted(board.sources):
        source = board.sources[key]
        if _is_apart(source):
            each.add_metric(list(key), source.age_ms(now_ms) / 1000)
    yield from (worst, stale, many, each)


def _is_apart(source: Source) -> bool:
    return source.kind in APART or source.subject.endswith("-PERPETUAL")


def _gauges(board: Board, now_ms: int) -> Iterator[Metric]:
    waiting_ms = board.database.waiting_since_ms
    values = {
        "alarms": ("Alarms that ring", len(board.alarms)),
        "sockets": ("Sockets wanted", len(board.lines)),
        "sockets_up": (
            "Sockets up",
            sum(one.up_since_ms is not None for one in board.lines.values()),
        ),
        "maintenance": ("Whether the exchange says it is down", int(board.maintenance)),
        "start_time_seconds": ("When the collector began", board.started_ms / 1000),
        "clock_skew_seconds": ("Our clock less the exchange's", _seconds(board.skew_ms)),
        "disk_free_bytes": ("Bytes free where the lake is", board.free_bytes),
        "published_time_seconds": ("When the live day was written", _seconds(board.published_ms)),
        "folded_time_seconds": ("Up to when days are folded", _seconds(board.folded_ms)),
        "database_lag_seconds": (
            "How long rows have waited for the database",
            (0.0 if waiting_ms is None else max(0, now_ms - waiting_ms) / 1000)
            if board.database.is_wanted
            else None,
        ),
    }
    for name, (words, value) in values.items():
        if value is not None:
            yield GaugeMetricFamily(f"deribit_lake_{name}", words, value=value)
    ringing = GaugeMetricFamily("deribit_lake_alarm", "An alarm that rings", labels=["alarm"])
    for alarm in board.alarms:
        ringing.add_metric([alarm], 1)
    yield ringing


def _counters(board: Board) -> Iterator[Metric]:
    for name, words in COUNTERS.items():
        yield CounterMetricFamily(f"deribit_lake_{name}", words, value=board.counts[name])
    by_kind = CounterMetricFamily(
        "deribit_lake_kind_messages", "Messages of a kind", labels=["kind"]
    )
    for kind in ages(board, board.started_ms):
        by_kind.add_metric([kind.kind], kind.messages)
    reconnects = sum(line.reconnects for line in board.lines.values())
    yield by_kind
    yield CounterMetricFamily("deribit_lake_reconnects", "Sockets opened again", value=reconnects)
    yield CounterMetricFamily(
        "deribit_lake_gaps", "Stretches a kind was not heard in", value=board.counts["gaps"]
    )


def _waits(board: Board) -> Metric:
    waits, below = board.waits, 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, WAITS_S), "+Inf"), waits.counts, strict=True):
        below += count
        buckets.append((bound, below))
    return HistogramMetricFamily(
        "deribit_lake_write_wait_seconds",
        "How long the oldest message of a write waited until it was on disk",
        buckets=buckets,
        sum_value=waits.total_s,
    )


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
