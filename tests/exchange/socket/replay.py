"""Option tickers replayed in bulk: a second of a family is one text, with other timestamps.

Frames of a channel have one length whatever the moment, as Unix milliseconds have thirteen digits;
so what one client watches of a family is rendered once a second, and written ten times.
"""

from collections import OrderedDict

from tests.exchange.market import Market
from tests.exchange.socket.board import Board
from tests.exchange.socket.feed import grid
from tests.exchange.socket.frames import frame, notifications
from tests.exchange.socket.quotes import ReplayedTicker

_MOMENT = b"@" * len("1792326896000")
SECOND_MS = 1_000


class Replay:
    """The replayed channels of one client, family and interval."""

    def __init__(self, board: Board, step_ms: int, held_seconds: int) -> None:
        self._board, self._step_ms, self._held_seconds = board, step_ms, held_seconds
        self._names: dict[str, str] = {}
        self._texts: OrderedDict[int, tuple[bytes, int]] = OrderedDict()

    def add(self, channel: str, feed: ReplayedTicker) -> None:
        """Send a channel from now on."""
        self._names[channel] = feed.name
        self._texts.clear()

    def remove(self, channel: str) -> None:
        """Send it no more."""
        self._names.pop(channel, None)
        self._texts.clear()

    def between(self, market: Market, start_ms: int, end_ms: int) -> tuple[bytes, int]:
        """Return the frames of a window, and how many they are."""
        parts, count = [], 0
        for ms in grid(start_ms, end_ms, self._step_ms):
            text, size = self._second(market, ms - ms % SECOND_MS)
            parts.append(text.replace(_MOMENT, b"%d" % ms))
            count += size
        return b"".join(parts), count

    def _second(self, market: Market, second_ms: int) -> tuple[bytes, int]:
        if second_ms not in self._texts:
            tails = self._board.tails(market, second_ms)
            frames = [
                frame(*notifications(channel, [b'{"timestamp":%b%b' % (_MOMENT, tails[name])]))
                for channel, name in self._names.items()
                if name in tails
            ]
            self._texts[second_ms] = b"".join(frames), len(frames)
            if len(self._texts) > self._held_seconds:
                self._texts.popitem(last=False)
        return self._texts[second_ms]
