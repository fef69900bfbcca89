"""What a collector knows of itself: how new the data of each source are, what went wrong.

One board is written by whoever collects and read by whoever watches: alarms, pings, the page. All
of it happens in one thread, on the event loop. Times are Unix milliseconds of the exchange's clock.
"""

from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

LAST_GAPS = 50  # that a page shows
LAST_ALARMS = 100
WAITS_S = (0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds of the classes that waits for the disk are counted in; 1 s is what we promise."""
Key = tuple[str, str]
"""Kind and subject of a source: ``("candles", "BTC-PERPETUAL")``, ``("tickers", "USDC")``."""


@dataclass(slots=True)
class Source:
    """One stream of data, and how old its newest may be before an alarm rings.

    Attributes
    ----------
    kind
        As settings call it: candles, trades, funding, index, dvol, tickers.
    subject
        Instrument, index or settlement currency.
    limit_ms
        0 where silence says nothing.
    since_ms
        When it was first asked for; until data came its age counts from here.
    newest_ms
        The newest moment that data told of: a repeated one makes nothing younger.
    line
        Number of the socket it comes over, 0 where there are several, None where nobody said.
        Alarms of what shares a socket are one.
    """

    kind: str
    subject: str
    limit_ms: int
    since_ms: int
    newest_ms: int | None = None
    messages: int = 0
    line: int | None = None

    @property
    def key(self) -> Key:
        """Kind and subject."""
        return self.kind, self.subject

    @property
    def silent_since_ms(self) -> int:
        """The moment after which it told of nothing."""
        return self.since_ms if self.newest_ms is None else self.newest_ms

    def comes_over(self, line: int) -> None:
        """Take note of a socket that carries it."""
        self.line = line if self.line in {None, line} else 0

    def age_ms(self, now_ms: int) -> int:
        """Return how old the newest data are."""
        return max(0, now_ms - self.silent_since_ms)

    def is_stale(self, now_ms: int) -> bool:
        """Whether they are older than they may be."""
        return bool(self.limit_ms) and self.age_ms(now_ms) > self.limit_ms

    def heard(self, at_ms: int, messages: int = 1) -> None:
        """Take note of data that tell of a moment."""
        self.messages += messages
        if self.newest_ms is None or at_ms > self.newest_ms:
            self.newest_ms = at_ms


@dataclass(slots=True)
class Line:
    """One socket: its number, since when it is up (None: it is not), what ended the one before."""

    number: int
    channels: int = 0
    up_since_ms: int | None = None
    frame_ms: int | None = None
    reconnects: int = 0
    last_end: str = ""


class LiveGap(NamedTuple):
    """A stretch a kind of data was not heard in.

    `rows` were filled in by REST, together with the other gaps of the same time; None: not yet.
    """

    kind: str
    start_ms: int
    end_ms: int
    reason: str
    rows: int | None = None


@dataclass(slots=True)
class Database:
    """How far the database is: up to which moment live rows are there, and what it said last."""

    is_wanted: bool = False
    sent_ms: int | None = None
    waiting_since_ms: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is wrong, said once when it began.

    Attributes
    ----------
    name
        ``maintenance``, ``everything``, ``socket 3``, ``candles``, ``candles BTC-PERPETUAL``;
        ``clock``, ``journal``, ``disk``, ``database``.
    text
        One line with value and limit, kept fresh while it rings.
    since_ms
        Since when it is so: of data, what their newest moment is.
    limit_ms
        How long it may be so.
    does_restart_help
        Whether a new process may mend it.
    wrong_since_ms
        Since when it is so this time; None while it is well and only watched for a while.
    """

    name: str
    text: str
    since_ms: int
    limit_ms: int
    rung_ms: int
    does_restart_help: bool = False
    wrong_since_ms: int | None = None
    cleared_ms: int | None = None


@dataclass(slots=True)
class Waits:
    """How long messages waited for the disk, the oldest of each write, counted in classes."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(WAITS_S) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(WAITS_S, seconds)] += 1
        self.total_s += seconds


@dataclass(slots=True)
class Board:
    """All that is known of a running collector.

    Attributes
    ----------
    counts
        What happened how often: ``messages``, ``bytes``, ``unknown_channel``, ``unreadable``,
        ``dropped``, ``test_request``, ``confirmed``, ``revised``, ``filled``.
    kept_s, kept_ms
        When the oldest message came that nobody began to write, by a clock that nobody sets [s],
        and by the exchange's: ours may be set by hours between a message and its write.
    unwritten_ms
        How long the oldest message of the last write had waited.
    writing_since_ms
        When the oldest message of the write under way came; None between writes.
    published_ms, live_limit_ms
        When the live day was last written, and how old that may be; 0 where it lies on the disk.
    unfolded_since_ms
        Since when days that are over could be in clean, and are not; None where all of them are.
    skew_ms
        By how much our clock is ahead of the exchange's; None until both are known.
    maintenance
        Whether the exchange says it is down.
    alarms
        Those that ring, by name; `past_alarms` are over. Written by `health.alarms`.
    looked_ms
        When it was last looked whether anything is to ring.
    waits
        Written by whoever writes to disk: ``board.waits.add(seconds)`` after each write.
    """

    started_ms: int
    sources: dict[Key, Source] = field(default_factory=dict)
    lines: dict[int, Line] = field(default_factory=dict)
    gaps: deque[LiveGap] = field(default_factory=lambda: deque(maxlen=LAST_GAPS))
    counts: Counter[str] = field(default_factory=Counter)
    database: Database = field(default_factory=Database)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    past_alarms: deque[Alarm] = field(default_factory=lambda: deque(maxlen=LAST_ALARMS))
    waits: Waits = field(default_factory=Waits)
    looked_ms: int | None = None
    kept_s: float = 0.0
    kept_ms: int = 0
    unwritten_ms: int = 0
    writing_since_ms: int | None = None
    published_ms: int | None = None
    live_limit_ms: int = 0
    folded_ms: int | None = None
    unfolded_since_ms: int | None = None
    skew_ms: int | None = None
    free_bytes: int | None = None
    maintenance: bool = False
    is_draining: bool = False

    def watch(self, kind: str, subject: str, limit_s: float, now_ms: int) -> Source:
        """Return a source, made if it is new."""
        key = kind, subject
        if key not in self.sources:
            self.sources[key] = Source(kind, subject, round(limit_s * 1000), now_ms)
        return self.sources[key]

    def lost(self, gap: LiveGap) -> None:
        """Take note of a stretch that was not heard."""
        self.counts["gaps"] += 1
        self.gaps.append(gap)

    def forget(self, kind: str, subject: str) -> None:
        """Watch a source no more: what it told of has expired."""
        self.sources.pop((kind, subject), None)

    def stale(self, now_ms: int) -> list[Source]:
        """Return the sources whose data are too old, sorted."""
        found = [one for one in self.sources.values() if one.is_stale(now_ms)]
        return sorted(found, key=lambda one: (one.kind, one.subject))
