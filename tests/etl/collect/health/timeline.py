"""A collector's board played second by second: sources that speak in their manner, and outages."""

from dataclasses import dataclass, field

from etl.collect.board import Board
from etl.collect.health.alarms import Alarms
from etl.config import Collect

START_MS = 1_760_572_800_000
MINUTE_MS = 60_000
MANNERS = {
    "candles": (180, 1, 60),
    "funding": (180, 2, 1),
    "index": (60, 1, 1),
    "dvol": (120, 5, 1),
    "tickers": (180, 1, 1),
    "trades": (3_600, 240, 1),
}
"""Of each kind: the limit, how often it speaks, and to what its moments are rounded [s]."""
SUBJECTS = {
    "candles": ("BTC-PERPETUAL", "ETH-PERPETUAL", "SOL_USDC-PERPETUAL"),
    "funding": ("BTC-PERPETUAL", "ETH-PERPETUAL", "SOL_USDC-PERPETUAL"),
    "index": ("btc_usd", "eth_usd"),
    "dvol": ("btc_usd", "eth_usd"),
    "tickers": ("BTC", "ETH", "USDC"),
    "trades": ("BTC", "ETH", "USDC"),
}
LINES = {"candles": 1, "funding": 1, "trades": 1, "index": 2, "dvol": 2, "tickers": 2}


@dataclass(frozen=True)
class Silence:
    """Sources that say nothing from one second to another."""

    start_s: int
    end_s: int
    kind: str | None = None
    subject: str | None = None
    line: int | None = None
    is_told: bool = False  # as maintenance

    def has(self, source, second):
        return self.start_s <= second < self.end_s and all(
            wanted is None or wanted == mine
            for wanted, mine in (
                (self.kind, source.kind), (self.subject, source.subject), (self.line, source.line)
            )
        )  # fmt: skip


@dataclass
class Played:
    """A timeline: what rang and cleared, with the second it did."""

    board: Board
    alarms: Alarms
    rung: list[tuple[str, int]] = field(default_factory=list)
    cleared: list[tuple[str, int]] = field(default_factory=list)
    late: list[tuple[str, str, int]] = field(default_factory=list)

    def names(self):
        return [name for name, _ in self.rung]

    def look(self, second):
        before, now_ms = dict(self.board.alarms), START_MS + 1000 * second
        self.alarms.look(now_ms)
        after = self.board.alarms
        self.rung += [(name, second) for name in after if name not in before]
        self.cleared += [(name, second) for name in before if name not in after]
        self.late += [
            (one.kind, one.subject, second)
            for one in self.board.stale(now_ms)
            if self.alarms.causes.of.get(one.key) not in after
        ]


def board_of(kinds=MANNERS):
    board = Board(START_MS)
    for kind in kinds:
        for subject in SUBJECTS[kind]:
            board.watch(kind, subject, MANNERS[kind][0], START_MS).line = LINES[kind]
    return board


def play(seconds, *silences, every_s=1, kinds=MANNERS, **collect):
    """Play some seconds and look every so many."""
    board = board_of(kinds)
    played = Played(board, Alarms(board, Collect(**collect)))
    for second in range(seconds):
        speak(board, second, silences)
        if second % every_s == 0:
            played.look(second)
    return played


def speak(board, second, silences):
    board.maintenance = any(one.is_told and one.start_s <= second < one.end_s for one in silences)
    for number, source in enumerate(board.sources.values()):
        _, period_s, rounded_s = MANNERS[source.kind]
        is_its_turn = (second + number) % period_s == 0
        if is_its_turn and not any(one.has(source, second) for one in silences):
            source.heard(START_MS + 1000 * (second - second % rounded_s))
