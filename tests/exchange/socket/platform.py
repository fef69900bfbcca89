"""platform_state: hundreds of messages a minute say that nothing is locked, and one counts.

That a break begins is said once, as it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from tests.exchange import noise
from tests.exchange.listing import ALL_PERPETUALS
from tests.exchange.market import Market
from tests.exchange.socket.feed import grid

_STEP_MS = 200
_SHARE = 0.53  # 151 of them came in 57 s


@dataclass(frozen=True)
class PlatformState:
    """platform_state."""

    maintenance: Sequence[tuple[int, int]] = ()

    def first(self, _market: Market) -> list[bytes]:
        """Return nothing."""
        return []

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return the states of a window."""
        found = [
            (begins, b'{"maintenance":true}')
            for begins, _ in self.maintenance
            if start_ms <= begins < end_ms
        ]
        moments = np.array(list(grid(start_ms, end_ms, _STEP_MS)), dtype=np.int64)
        word = noise.bits(noise.key(market.seed, "platform"), moments.view(np.uint64))
        names = [one.price_index for one in ALL_PERPETUALS if one.creation_ms <= start_ms]
        for ms, lock, draw in zip(
            moments.tolist(),
            noise.lane(word, 0).tolist(),
            noise.lane(word, 1).tolist(),
            strict=True,
        ):
            if lock < 65_536 * _SHARE:
                state = {"price_index": names[draw % len(names)], "locked": False, "reasons": []}
                found.append((ms, orjson.dumps(state)))
        return [text for _, text in sorted(found, key=lambda each: each[0])]


@dataclass(frozen=True)
class PublicMethodsState:
    """platform_state.public_methods_state: that anybody may ask."""

    def first(self, _market: Market) -> list[bytes]:
        """Return it once."""
        return [b'{"allow_unauthenticated_public_requests":true}']

    def between(self, _market: Market, _start_ms: int, _end_ms: int) -> list[bytes]:
        """Return nothing: it never changes."""
        return []
