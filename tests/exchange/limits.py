"""Limits per client address: request credits, get_instruments, and connections."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]

CREDITS_PER_CALL = 500
CREDIT_CAPACITY = 50_000
CREDIT_REFILL = 10_000.0
MOST_CONNECTIONS = 32

# get_instruments has its own limit: one a second, fifty in a burst (10,000 of 500,000 credits).
INSTRUMENT_CALLS = 50
INSTRUMENT_REFILL = 1.0

# So has public/subscribe: 3,000 of 30,000 credits a call.
SUBSCRIPTION_CALLS = 10
SUBSCRIPTION_REFILL = CREDIT_REFILL / 3_000
SUBSCRIBE = "public/subscribe"


class Bucket:
    """Credits that refill with time, up to a capacity."""

    def __init__(self, capacity: float, refill: float, clock: Clock) -> None:
        self._capacity = capacity
        self._refill = refill
        self._clock = clock
        self._level = capacity
        self._filled_at = clock()

    def spend(self, cost: float) -> bool:
        """Take `cost` credits if they are there, and tell whether they were."""
        now = self._clock()
        gained = (now - self._filled_at) * self._refill
        self._level = min(self._capacity, self._level + gained)
        self._filled_at = now
        if self._level < cost:
            return False
        self._level -= cost
        return True


@dataclass
class Limits:
    """What each client address may still do."""

    clock: Clock
    enforced: bool = True
    credits_spent: int = 0
    _credits: dict[str, Bucket] = field(default_factory=dict)
    _instruments: dict[str, Bucket] = field(default_factory=dict)
    _subscriptions: dict[str, Bucket] = field(default_factory=dict)

    def admits(self, address: str, method: str) -> bool:
        """Charge one call and tell whether it may go ahead."""
        allowed = not self.enforced or self._afford(address, method)
        self.credits_spent += CREDITS_PER_CALL * allowed
        return allowed

    def _afford(self, address: str, method: str) -> bool:
        if method == SUBSCRIBE:
            return self._subscription(address).spend(1)
        if not self._credit(address).spend(CREDITS_PER_CALL):
            return False
        return method != "public/get_instruments" or self._instrument(address).spend(1)

    def _credit(self, address: str) -> Bucket:
        if address not in self._credits:
            self._credits[address] = Bucket(CREDIT_CAPACITY, CREDIT_REFILL, self.clock)
        return self._credits[address]

    def _instrument(self, address: str) -> Bucket:
        if address not in self._instruments:
            self._instruments[address] = Bucket(INSTRUMENT_CALLS, INSTRUMENT_REFILL, self.clock)
        return self._instruments[address]

    def _subscription(self, address: str) -> Bucket:
        if address not in self._subscriptions:
            self._subscriptions[address] = Bucket(
                SUBSCRIPTION_CALLS, SUBSCRIPTION_REFILL, self.clock
            )
        return self._subscriptions[address]


class Connections:
    """Open connections per address, and which of them came when 32 were open already."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._excess: set[tuple[str, int]] = set()
        self.most = 0

    def opened(self, peer: tuple[str, int]) -> None:
        """Count a connection in."""
        self._open[peer[0]] += 1
        self.most = max(self.most, self._open[peer[0]])
        if self._open[peer[0]] > MOST_CONNECTIONS:
            self._excess.add(peer)

    def closed(self, peer: tuple[str, int]) -> None:
        """Count a connection out."""
        self._open[peer[0]] -= 1
        self._excess.discard(peer)

    def is_excess(self, peer: tuple[str, int]) -> bool:
        """Tell whether a connection was opened beyond the limit."""
        return peer in self._excess
