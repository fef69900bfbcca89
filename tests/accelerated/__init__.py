"""Processes whose time runs faster than ours: for tests of what takes a day."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "DERIBIT_LAKE_TEST_CLOCK"


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock that showed `now` when ours showed `started` [Unix s], and runs at some speed."""

    started: float
    now: float
    speed: float

    @classmethod
    def from_now(cls, now: float, speed: float) -> "Clock":
        """Return a clock that begins at a moment, at once."""
        return cls(time.time(), now, speed)

    def time(self) -> float:
        """Return what it shows [Unix s]."""
        return self.now + (time.time() - self.started) * self.speed

    def seconds(self, real: float) -> float:
        """Return how many of its seconds go by in some of ours."""
        return real * self.speed

    @property
    def environment(self) -> dict[str, str]:
        """What makes every Python process begun with it keep this time: see ``sitecustomize``."""
        told = f"{self.started} {self.now} {time.monotonic()} {time.time()} {self.speed}"
        before = os.environ.get("PYTHONPATH")
        folders = [str(Path(__file__).parent), *([before] if before else [])]
        return {VARIABLE: told, "PYTHONPATH": os.pathsep.join(folders)}


def is_accelerated() -> bool:
    """Whether this very process keeps such a time."""
    return VARIABLE in os.environ and "sitecustomize" in sys.modules
