"""deribit_price_index and deribit_volatility_index, once a second."""

from dataclasses import dataclass

import numpy as np
import orjson

from tests.exchange import volatility_index
from tests.exchange.market import Market
from tests.exchange.socket.feed import grid

STEP_MS = 1_000


@dataclass(frozen=True)
class PriceIndex:
    """deribit_price_index.{index}, which a perpetual follows."""

    index: str
    perpetual: str

    def first(self, _market: Market) -> list[bytes]:
        """Return nothing: the next second brings the first."""
        return []

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return one price a second."""
        return [
            orjson.dumps(
                {
                    "timestamp": ms,
                    "price": market.at(ms).index_price(self.perpetual),
                    "index_name": self.index,
                }
            )
            for ms in grid(start_ms, end_ms, STEP_MS)
        ]


@dataclass(frozen=True)
class VolatilityIndex:
    """deribit_volatility_index.{index}: one at once, then every one that differs."""

    index: str
    currency: str

    def first(self, market: Market) -> list[bytes]:
        """Return the index of the last full second."""
        ms = market.now_ms - market.now_ms % STEP_MS
        return [self._sent(ms, self._values(market, [ms])[0])]

    def between(self, market: Market, start_ms: int, end_ms: int) -> list[bytes]:
        """Return the values that differ from those of a second before."""
        moments = list(grid(start_ms, end_ms, STEP_MS))
        if not moments:
            return []
        values = self._values(market, [moments[0] - STEP_MS, *moments])
        return [
            self._sent(ms, now)
            for ms, before, now in zip(moments, values[:-1], values[1:], strict=True)
            if now != before
        ]

    def _values(self, market: Market, moments: list[int]) -> list[float]:
        found: list[float] = volatility_index.index(
            market.seed, self.currency, np.array(moments)
        ).tolist()
        return found

    def _sent(self, ms: int, value: float) -> bytes:
        return orjson.dumps({"timestamp": ms, "volatility": value, "index_name": self.index})
