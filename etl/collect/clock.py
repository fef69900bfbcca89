"""The exchange's clock, as answers tell it, carried on by the event loop's own time."""

import asyncio
from collections import deque
from statistics import median

from etl.deribit.numbers import LAST_MS
from etl.when import clock_ms

BELIEVED = 7  # of the latest answers: one whose clock jumped does not move the middle


class ExchangeClock:
    """The exchange's now [Unix ms]; ours until an answer told it."""

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=BELIEVED)

    def heard(self, us_out: int) -> None:
        """Take what an answer says the time is [µs], if it can be a time."""
        if not 0 < us_out <= LAST_MS * 1000:
            return
        self._offsets.append(us_out / 1000 - asyncio.get_running_loop().time() * 1000)

    def now_ms(self) -> int:
        """Return the exchange's now [ms]."""
        if not self._offsets:
            return clock_ms()
        return round(asyncio.get_running_loop().time() * 1000 + median(self._offsets))

    @property
    def skew_ms(self) -> int | None:
        """By how much our clock is ahead of the exchange's; None until it was heard."""
        return clock_ms() - self.now_ms() if self._offsets else None
