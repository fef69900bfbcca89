"""The exchange's clock: frozen, the machine's own, or one that runs so many times as fast."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is at the exchange, and how long its seconds take here.

    Attributes
    ----------
    now_us : its present at `started_s` [Unix us].
    started_s : the real moment [Unix s].
    speed : exchange seconds in a real one; 0 stands still.
    """

    now_us: int
    started_s: float
    speed: float = 1.0

    @classmethod
    def frozen(cls, now_ms: int) -> "Clock":
        """Return a clock that stands still."""
        return cls(now_ms * 1000, 0.0, 0.0)

    @classmethod
    def real(cls) -> "Clock":
        """Return the machine's clock."""
        return cls(0, 0.0)

    def read_us(self) -> int:
        """Return the present [Unix us]."""
        if self.speed == 1.0:  # whole microseconds, which a float of seconds does not have
            return self.now_us + time.time_ns() // 1000 - round(self.started_s * 1e6)
        elapsed = time.time() - self.started_s if self.speed else 0.0
        return self.now_us + round(elapsed * self.speed * 1e6)

    def seconds(self) -> float:
        """Return a steady count of exchange seconds; while it stands still, of real ones."""
        return time.monotonic() * self._pace

    def delay(self, seconds: float) -> float:
        """Return what some exchange seconds take [real s]."""
        return seconds / self._pace

    @property
    def _pace(self) -> float:
        return self.speed or 1.0
