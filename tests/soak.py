"""A collector through hours of trouble: cuts, breaks, silence, kills; and what it then has.

Everything goes on in accelerated time. In the end what is clean is held against the market itself,
and the alarms that rang against what really came: an interval in which a source told of nothing
new for longer than its limit has to be rung in time, and nothing else may ring.
"""

import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from polars.testing import assert_frame_equal

from lake.journal import journals, read_journal
from lake.messages import read_socket, socket_files
from lake.paths import Lake, open_lake
from tests.acceptance.command import Product
from tests.etl.collect.collecting import Collecting, collecting
from tests.etl.collect.health.healthchecks import Healthchecks, listening
from tests.exchange.market import Market
from tests.exchange.running import RunningExchange

DAY = "2025-10-18"
MINUTE_S = 60.0
ACTIVITY = 0.03  # of option trades: the exchange makes each it sends
CURRENCIES = ("BTC", "USDC")
KEY = ["instrument", "timestamp", "trade_seq"]
LIMITS_S = {"index": 60.0, "funding": 180.0, "candles": 180.0}
FAMILIES = {"index": "deribit_price_index", "funding": "perpetual", "candles": "chart.trades"}
_LINE = r"(?P<at>\S+)Z - etl\.collect\.health\.alarms - "
RANG = re.compile(_LINE + r"ERROR - alarm (?P<name>[^:]+): (?P<text>.*)")
OVER = re.compile(_LINE + r"INFO - alarm (?P<name>.+) is over")
ASKED = re.compile(r"(?P<at>\S+)Z - etl\.collect\.run - INFO - \d+ channels are asked for")
START_S = 180.0  # after which a collector says that nothing is subscribed to
MARGIN_S = 10.0  # of judging alarms: how long a look, an event loop and a message take, accelerated


@dataclass(frozen=True)
class Plan:
    """What is done to a collector, in exchange time; the day ends at midnight, and is folded."""

    start: str = f"{DAY}T01:15"
    end: str = "2025-10-19T01:40"
    speed: float = 60.0
    seed: int = 1
    kills: int = 20
    cut_every_s: float = 600.0
    silences: int = 1
    breaks: tuple[tuple[str, str], ...] = (
        (f"{DAY}T09:00", f"{DAY}T09:30"),
        (f"{DAY}T16:00", f"{DAY}T17:00"),
    )


class Silence(NamedTuple):
    """A stretch of a collector's life in which a source told of nothing new [Unix s]."""

    kind: str
    subject: str
    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end_s - self.start_s


class Alarm(NamedTuple):
    """An alarm that rang, from when until when [Unix s]."""

    name: str
    start_s: float
    end_s: float
    text: str


@dataclass
class Soaked:
    """What a soak came to."""

    exit_code: int
    verdict: str
    candles: int
    trades: int
    kills: list[float]
    stats: dict[str, object]
    silences: list[Silence]
    rung: list[Alarm]
    pings: list[tuple[float, str]]
    faults: list[str] = field(default_factory=list)


def soak(root: Path, plan: Plan) -> Soaked:
    """Let a collector go through a plan, and return what came of it."""
    exchange = {
        "option_activity": ACTIVITY,
        "options_since": "2025-10-01T00:00:00Z",
        "warm": ",".join(CURRENCIES),
        "socket_faults": f"cut:{plan.cut_every_s:.0f},unordered,repeated",
        "fault_seed": plan.seed,
        "maintenance": ",".join(f"{start}/{end}" for start, end in plan.breaks),
    }
    told = {"currencies": CURRENCIES, "instruments": []}
    with (
        listening(limits=False) as checks,
        collecting(
            root, now=f"{plan.start}:00Z", speed=plan.speed, exchange=exchange,
            ping_url=checks.url, **told,
        ) as (collector, running),
    ):  # fmt: skip
        checks.now = collector.clock.time
        births, kills = _struck(collector, running, plan)
        collector.until("folded", 1)
        exit_code = collector.stop()
        lives = [*zip(births, [*kills, collector.clock.time()], strict=True)]
        stats = running.stats()
    return _judged(collector, plan, checks, (exit_code, lives, stats))


def _struck(
    collector: Collecting, running: RunningExchange, plan: Plan
) -> tuple[list[float], list[float]]:
    """Kill and silence by plan until its end; return when processes began and were killed."""
    random_ = random.Random(plan.seed)  # noqa: S311  (no secret)
    start, end = _seconds(plan.start), _seconds(plan.end)
    deeds = [(random_.uniform(start + 300, end - 5_400), "kill") for _ in range(plan.kills)]
    deeds += [(random_.uniform(start + 300, end - 5_400), "silence") for _ in range(plan.silences)]
    births, kills = [collector.clock.time()], []
    for at, deed in sorted(deeds):
        time.sleep(max(0.0, (at - collector.clock.time()) / collector.clock.speed))
        if deed == "silence":
            running.strike("silence", seconds=300)
            continue
        collector.kill()
        kills.append(collector.clock.time())
        collector.start()
        births.append(collector.clock.time())
    time.sleep(max(0.0, (end - collector.clock.time()) / collector.clock.speed))
    return births, kills


def _judged(
    collector: Collecting,
    plan: Plan,
    checks: Healthchecks,
    told: tuple[int, list[tuple[float, float]], dict[str, object]],
) -> Soaked:
    exit_code, lives, stats = told
    product = Product(collector.lake, collector.url)
    status = json.loads(product.run("status", "--json").stdout)
    candles = _check_candles(collector, plan)
    trades = sum(_check_trades(collector, currency) for currency in CURRENCIES)
    kills = [end for _, end in lives[:-1]]
    silences = silences_of(collector.lake, heard_in(collector, lives))
    rung = rung_by(collector, lives)
    pings = [(one.at_s, one.what) for one in checks.pings]
    found = Soaked(
        exit_code, status["verdict"], candles, trades, kills, stats, silences, rung, pings
    )
    late = [(start + START_S, end) for start, end in lives]
    legal = [one for one in rung if one.name != "start" or _is_in(one.start_s, late)]
    found.faults = faults_of(silences, [one for one in legal if one.name != "start"], pings)
    found.faults += [f"rang for nothing: {one}" for one in rung if one not in legal]
    return found


def _check_candles(collector: Collecting, plan: Plan) -> int:
    """Hold the clean candles of the day against the market's; return how many there are."""
    start, end = _seconds(f"{DAY}T00:00") * 1000, _seconds("2025-10-19T00:00") * 1000
    market, rows = Market(7, round(_seconds(plan.end) * 1000)), 0
    for dataset in ("perpetuals_ohlcv", "futures_ohlcv"):
        for path in sorted(collector.lake.glob(f"clean/{dataset}/*/2025.parquet")):
            name = path.parent.name
            truth = pl.DataFrame(market.candles(name, round(start), round(end)))
            moment = pl.from_epoch("ticks", "ms").cast(pl.Datetime("us", "UTC"))
            prices = ("open", "high", "low", "close", "volume", "cost")
            expected = truth.select(moment.alias("timestamp"), *prices)
            assert_frame_equal(pl.read_parquet(path).drop("instrument"), expected)
            rows += len(expected)
    return rows


def _check_trades(collector: Collecting, currency: str) -> int:
    start, end = _seconds(f"{DAY}T00:00") * 1000, _seconds("2025-10-19T00:00") * 1000
    market = Market(7, round(end) + 86_400_000, option_activity=ACTIVITY)
    moment = (pl.col("timestamp") * 1000).cast(pl.Datetime("us", "UTC"))
    sent = market.option_trades(currency, round(start), round(end))
    expected = (
        sent.rename({"instrument_name": "instrument"})
        .with_columns(
            moment, (pl.col("iv") / 100).round(10), pl.col("block_rfq_id").cast(pl.String)
        )
        .sort(KEY)
    )
    files = sorted(collector.lake.glob(f"clean/option_trades/{currency}/*.parquet"))
    found = pl.concat([pl.read_parquet(path) for path in files]).sort(KEY)
    columns = [name for name in found.columns if name != "other"]
    assert_frame_equal(found.select(columns), expected.select(columns))
    return len(found)


def rung_by(collector: Collecting, lives: list[tuple[float, float]]) -> list[Alarm]:
    """Return the alarms a collector rang by its log, each with when it was over."""
    found: list[Alarm] = []
    for line in collector.log.splitlines():
        if (rang := RANG.match(line)) is not None:
            at = _seconds(rang["at"])
            until = next(end for start, end in lives if start <= at <= end)
            found.append(Alarm(rang["name"], at, until, rang["text"]))
        elif (over := OVER.match(line)) is not None:
            number = max(i for i, one in enumerate(found) if one.name == over["name"])
            found[number] = found[number]._replace(end_s=_seconds(over["at"]))
    return found


def heard_in(collector: Collecting, lives: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the lives of processes from where they asked for channels: data are due then."""
    lines = [found for line in collector.log.splitlines() if (found := ASKED.match(line))]
    begun = [_seconds(found["at"]) for found in lines]
    firsts = ((min((at for at in begun if start <= at <= end), default=end), end)
              for start, end in lives)  # fmt: skip
    return [(first, end) for first, end in firsts if first < end]


def silences_of(root: Path, lives: list[tuple[float, float]]) -> list[Silence]:
    """Return every stretch of a process's life in which a source told of nothing new for a limit.

    What came is read from raw: when messages were received, and the moments they told of.
    """
    lake, found = open_lake(root), []
    for kind, family in FAMILIES.items():
        rows = list(_told(lake, family))
        heard = pl.DataFrame(rows, ["subject", "at_s", "told_s"], orient="row").sort("at_s")
        for (subject,), some in heard.partition_by("subject", as_dict=True).items():
            found += _silences(kind, str(subject), some, lives)
    return sorted(found, key=lambda one: one.start_s)


def _told(lake: Lake, family: str) -> Iterator[tuple[str, float, float]]:
    """Yield channel, reception and moment [Unix s] of the messages of a family, journals' too."""
    days = sorted(path.name[4:] for path in lake.raw("socket", family=family).glob("day=*"))
    files = [path for day in days for path in socket_files(lake, family, day)]
    for batch in read_socket(files):
        yield from _moments(batch["received_at"].cast("int64"), batch)
    for path in journals(lake):
        for batch in read_journal(path):
            mine = batch.filter(pc.field("family") == family)
            yield from _moments(mine["received_us"], mine)


def _moments(received: pa.Array, batch: pa.RecordBatch) -> Iterator[tuple[str, float, float]]:
    columns = (received, batch["channel"], batch["message"])
    for at, channel, message in zip(*(one.to_pylist() for one in columns), strict=True):
        data = json.loads(message)["params"]["data"]
        # a candle tells of its minute, until its end at most
        told = data["timestamp"] / 1e3 if "timestamp" in data else data["tick"] / 1e3 + MINUTE_S
        yield channel, at / 1e6, min(told, at / 1e6)


def _silences(
    kind: str, subject: str, heard: pl.DataFrame, lives: list[tuple[float, float]]
) -> Iterator[Silence]:
    """Yield the silences of one source, life by life: from its newest moment until it is fresh."""
    limit = LIMITS_S[kind]
    for start, end in lives:
        newest, since = start, None
        some = heard.filter(pl.col("at_s").is_between(start, end)).select("at_s", "told_s")
        for at, told in [*some.iter_rows(), (end, start)]:
            if since is None and at - newest > limit:
                since = newest
            newest = max(newest, told)
            if since is not None and at - newest <= limit:
                yield Silence(kind, subject, since, at)
                since = None
        if since is not None:
            yield Silence(kind, subject, since, end)


def faults_of(
    silences: list[Silence], rung: list[Alarm], pings: list[tuple[float, str]]
) -> list[str]:
    """Return what is wrong with the alarms: one that did not ring in time, or rang for nothing."""
    fails = [at for at, what in pings if what == "fail"]
    found = [f"nobody rang for {one}" for one in silences if not _is_rung(one, rung)]
    for alarm in rung:
        limits = [(one.start_s + LIMITS_S[one.kind], one.end_s) for one in silences]
        if not any(start - MARGIN_S <= alarm.start_s <= end + MARGIN_S for start, end in limits):
            found.append(f"rang for nothing: {alarm}")
        if not any(0 <= at - alarm.start_s <= MINUTE_S for at in fails):
            found.append(f"no ping told of {alarm}")
    return found


def _is_in(at: float, spans: list[tuple[float, float]]) -> bool:
    return any(start <= at <= end for start, end in spans)


def _is_rung(silence: Silence, rung: list[Alarm]) -> bool:
    """Whether an alarm rings within twice the limit; what is over at once nobody has to see."""
    limit = LIMITS_S[silence.kind]
    due = silence.start_s + 2 * limit
    is_short = silence.seconds < limit + MARGIN_S
    return is_short or any(one.start_s <= due and one.end_s >= silence.start_s for one in rung)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
