"""Wait while a host is down or wants fewer requests: all requests of a run together."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from etl.errors import EtlError, RateLimitedError, UnavailableError

logger = logging.getLogger(__name__)

IN_A_ROW = 3  # failures, whosever requests they are, that are no longer faults of a moment
QUICK_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # most faults are over within a quarter of a minute
GROWTH, SLOWEST = 1.25, 2.0  # of the pause between two looks, and its bound in `probe_seconds`
SAID_FROM_S = 4.0  # shorter pauses are not worth a line
IN_MINUTES_FROM_S = 120.0
LONGEST_S = 3_600.0  # an exchange that asks for more is asked again after this all the same
EPOCH_FROM, EPOCH_MS_FROM = 1e9, 1e12  # x-ratelimit-reset: a moment rather than a duration


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a host that is away is waited for, and how often it is looked at meanwhile [s]."""

    seconds: float = 0.0
    probe_seconds: float = 60.0


class Gate:
    """Lets the requests to one host through; while the host is away, one of them once a minute.

    Parameters
    ----------
    host
        Its name for messages.
    patience
        How long it is waited for; a gate without patience never closes.
    clock, sleep
        Monotonic seconds, and how to wait for some.
    """

    def __init__(
        self,
        host: str,
        patience: Patience,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.turn = asyncio.Lock()  # of the one request that looks whether the host is back
        self.has_answered = False
        self._host = host
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._open()

    def _open(self) -> None:
        self.is_open = True
        self._in_a_row = self._looks = 0
        self._since = self._next = self._clock()
        self._is_said = False
        self._reason: EtlError | None = None

    def answered(self, *, is_look: bool = False) -> None:
        """Note that the host is there.

        An answer that was under way when the gate closed is no news: it was asked for before.
        """
        self.has_answered = True
        if not self.is_open and not is_look:
            return
        if self._is_said:
            _notice("%s answers again after %s", self._host, _span(self._clock() - self._since))
        self._open()

    def failed(
        self, error: EtlError, asked_s: float | None = None, *, is_look: bool = False
    ) -> None:
        """Note that the host is away or wants fewer requests; `asked_s` is for how long, if told.

        Requests that were under way when the gate closed change nothing any more.
        """
        now = self._clock()
        if self._in_a_row == 0:
            self._since = now
        self._in_a_row += 1
        self._reason = error
        is_moment = self._in_a_row < IN_A_ROW and asked_s is None
        if not self._patience.seconds or (self.is_open and is_moment):
            return
        if self.is_open or is_look:
            pause = max(self._pause(), asked_s or 0.0)
            self._looks += 1
            self._next = now + pause
            self.is_open = False
            if asked_s is not None or pause >= min(SAID_FROM_S, self._patience.probe_seconds):
                self._say(pause)
        elif asked_s is not None:
            self._next = max(self._next, now + asked_s)

    async def pause(self) -> None:
        """Wait until it is time to look again; call it with `turn` held.

        Raises
        ------
        UnavailableError
            If the host was away for longer than there is patience.
        """
        end = self._since + self._patience.seconds
        if self._clock() >= end:
            message = (
                f"{self._host} did not come back in {_span(self._patience.seconds)} "
                f"(patience_minutes), since {_moment(self._since - self._clock())}: {self._reason}"
            )
            raise UnavailableError(message)
        await self._sleep(max(0.0, min(self._next, end) - self._clock()))

    def _pause(self) -> float:
        usual = self._patience.probe_seconds
        if self._looks < len(QUICK_S):
            return min(QUICK_S[self._looks], usual)
        return usual * min(GROWTH ** (self._looks - len(QUICK_S)), SLOWEST)

    def _say(self, pause: float) -> None:
        if self._is_said:
            return
        self._is_said = True
        elapsed = self._clock() - self._since
        _notice(
            "%s %s since %s: all requests wait (next look in %s), for %s at most, until %s; %s",
            self._host,
            "limits requests" if isinstance(self._reason, RateLimitedError) else "is away",
            _moment(-elapsed),
            _span(pause),
            _span(self._patience.seconds),
            _moment(self._patience.seconds - elapsed),
            self._reason,
        )


def asked_pause(headers: Mapping[str, str], now: float) -> float | None:
    """Return for how long the headers of an answer ask to wait [s], an hour at most.

    ``Retry-After`` in seconds or as a date; else ``x-ratelimit-reset`` of the history host, in
    seconds or as a moment [Unix s or ms]. None where neither says anything that can be meant.
    """
    if (told := headers.get("retry-after")) is not None:
        seconds = _number(told) or _until(told, now)
    else:
        seconds = _number(headers.get("x-ratelimit-reset", ""))
        if seconds is not None and seconds >= EPOCH_FROM:
            seconds = (seconds / 1000 if seconds >= EPOCH_MS_FROM else seconds) - now
    return None if seconds is None or not seconds > 0 else min(seconds, LONGEST_S)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(text: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now


def _notice(words: str, *values: object) -> None:
    """Log what the user should see on a terminal too, beside the progress bars."""
    logger.warning(words, *values, extra={"is_notice": True})


def _moment(seconds_from_now: float) -> str:
    moment = datetime.fromtimestamp(time.time() + seconds_from_now, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _span(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < IN_MINUTES_FROM_S else f"{seconds / 60:.0f} min"
