"""What goes wrong on sockets: by schedule, or at the moment a test asks for it.

=============  ==================================================================
cut            a connection is cut (1006)
silence        nothing comes on a connection but heartbeats and answers
freeze         nothing comes on a channel, everything else goes on
stale          a channel goes on with its last message, again and again
clock          the exchange's clock is wrong: usOut, get_time, timestamps of the moment
maintenance    it is said, all connections are cut, none is taken, REST answers HTML
unordered      an update of a bar comes after the one that follows it
repeated       an array of trades or an update of a bar comes twice
=============  ==================================================================

What is lost in silence never comes again. The last two have no schedule: which messages they hit is
a hash of fault seed and message, so that it does not depend on when the hub wakes.
"""

import re
import zlib
from dataclasses import asdict, dataclass, field

import numpy as np

from tests.exchange import noise
from tests.exchange.incidents import milliseconds
from tests.exchange.socket.feed import grid

MEANS_S = {"cut": 600.0, "silence": 7_200.0, "freeze": 3_600.0, "stale": 3_600.0, "clock": 7_200.0}
"""How many exchange seconds lie between two of them, on average."""
LASTING_S = {"cut": 0.0, "silence": 300.0, "freeze": 300.0, "stale": 300.0, "clock": 30.0}
ALTERING = ("unordered", "repeated")
NAMES = (*MEANS_S, *ALTERING)
ASKED = (*MEANS_S, "maintenance")
CUT_AFTER_MS = 2_000  # that a break begins is said so long before it does
JUMPS_MS = (-90_000, -20_000, 20_000, 90_000)
_SLOT_MS = 10_000
_SHARE = 20  # one message in so many is altered
_MOMENT = re.compile(rb'"timestamp":(\d+)')
_OF_THE_MOMENT = ("ticker", "incremental_ticker", "quote", "perpetual", "deribit_price_index")

Window = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Strike:
    """One of them: what, from when until when [Unix ms], and a number to choose whom by."""

    do: str
    at_ms: int
    until_ms: int
    draw: int = 0
    channel: str | None = None


@dataclass
class Strikes:
    """What is due when, and what is so now."""

    faults: dict[str, tuple[float, float]] = field(default_factory=dict)
    seed: int = 0
    maintenance: list[Window] = field(default_factory=list)
    done: list[dict[str, object]] = field(default_factory=list)
    _channels: dict[tuple[str, str], int] = field(default_factory=dict)
    _jumps: list[tuple[Window, int]] = field(default_factory=list)
    _last: dict[str, bytes] = field(default_factory=dict)
    _kept: dict[str, bytes] = field(default_factory=dict)

    def due(self, start_ms: int, end_ms: int) -> list[Strike]:
        """Return what the schedule has for a window, in order of time."""
        found: list[Strike] = []
        for name, (mean_s, lasting_s) in self.faults.items():
            if name in ALTERING:
                continue
            channel = noise.key(self.seed, "strikes", name)
            for slot in grid(start_ms - _SLOT_MS + 1, end_ms, _SLOT_MS):
                word = noise.bits_of(int(channel), slot)
                at_ms = slot + (word & 0xFFFF) * _SLOT_MS // 65_536
                is_drawn = (word >> 16 & 0xFFFFFF) < _SLOT_MS / 1_000 / mean_s * (1 << 24)
                if is_drawn and start_ms <= at_ms < end_ms:
                    until_ms = at_ms + round(lasting_s * 1_000)
                    found.append(Strike(name, at_ms, until_ms, word >> 40))
        return sorted(found, key=lambda strike: strike.at_ms)

    def record(self, strike: Strike, sockets: int) -> None:
        """Remember a strike for the statistics, and what of it lasts."""
        told = asdict(strike) | {"sockets": sockets}
        del told["draw"]
        self.done.append(told)
        if strike.do in {"freeze", "stale"} and strike.channel is not None:
            self._channels[strike.do, strike.channel] = strike.until_ms
        if strike.do == "clock":
            jump = JUMPS_MS[strike.draw % len(JUMPS_MS)]
            self._jumps.append(((strike.at_ms, strike.until_ms), jump))

    def jump_ms(self, now_ms: int) -> int:
        """Return how wrong the clock is now [ms]."""
        found = [jump for (start, end), jump in self._jumps if start <= now_ms < end]
        return found[-1] if found else 0

    def is_away(self, now_ms: int) -> bool:
        """Whether a break is on, and connections are cut."""
        return any(start + CUT_AFTER_MS <= now_ms < end for start, end in self.maintenance)

    def begins(self, start_ms: int, end_ms: int) -> list[Strike]:
        """Return the breaks whose connections are to be cut in a window."""
        return [
            Strike("maintenance", start, end)
            for start, end in self.maintenance
            if start_ms <= start + CUT_AFTER_MS < end_ms
        ]

    def altered(self, name: str, payloads: list[bytes], now_ms: int) -> list[bytes]:
        """Return the messages of a channel as they are sent."""
        if self._until("freeze", name) > now_ms:
            return []
        if self._until("stale", name) > now_ms and payloads:
            return [self._last.get(name, payloads[0])] * len(payloads)
        if payloads:
            self._last[name] = payloads[-1]
        family = name.partition(".")[0]
        if family in {"chart", "trades"} and not self.faults.keys().isdisjoint(ALTERING):
            payloads = self._disordered(name, payloads, family)
        jump = self.jump_ms(now_ms) if self._jumps else 0
        if jump and family in _OF_THE_MOMENT:
            return [
                _MOMENT.sub(lambda found: b'"timestamp":%d' % (int(found[1]) + jump), payload)
                for payload in payloads
            ]
        return payloads

    def _until(self, do: str, name: str) -> int:
        return self._channels.get((do, name), 0)

    def _disordered(self, name: str, payloads: list[bytes], family: str) -> list[bytes]:
        found: list[bytes] = []
        for payload in payloads:
            draw = zlib.crc32(payload, self.seed)
            kept = self._kept.pop(name, None)
            if "unordered" in self.faults and family == "chart" and draw % _SHARE == 0:
                self._kept[name] = payload
            else:
                is_twice = "repeated" in self.faults and draw % _SHARE == 1
                found += [payload, payload] if is_twice else [payload]
            found += [kept] if kept is not None else []
        return found


def named(text: str) -> dict[str, tuple[float, float]]:
    """Return the faults that a switch names: ``cut:600,silence:7200:300,unordered``.

    Behind a name stand the mean distance and how long it lasts [exchange s].
    """
    found = {}
    for word in filter(None, text.split(",")):
        name, *numbers = word.split(":")
        if name not in NAMES:
            message = f"unknown socket fault {name!r}; known are {', '.join(NAMES)}"
            raise ValueError(message)
        given = [float(number) for number in numbers]
        usual = [MEANS_S.get(name, 0.0), LASTING_S.get(name, 0.0)]
        if len(given) > len(usual) or any(not np.isfinite(one) or one <= 0 for one in given):
            message = f"{word!r} is not NAME, NAME:SECONDS or NAME:SECONDS:LASTING"
            raise ValueError(message)
        mean_s, lasting_s = given + usual[len(given) :]
        found[name] = (mean_s, lasting_s)
    return found


def windows(text: str) -> list[Window]:
    """Return the breaks that a switch names: ``START/END,…``."""
    found = []
    for word in filter(None, text.split(",")):
        start, _, end = word.partition("/")
        window = milliseconds(start), milliseconds(end)
        if window[0] >= window[1]:
            message = f"{word!r} ends before it begins"
            raise ValueError(message)
        found.append(window)
    return found
