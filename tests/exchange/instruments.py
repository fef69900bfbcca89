"""Futures, perpetual and dated: grids, sizes, lives, and the record the exchange sends for each."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.exchange.incidents import milliseconds

FOREVER_MS = 32_503_708_800_000
"""What Deribit sends as a perpetual's expiration: the year 3000."""

_FINE_GRID = (milliseconds("2019-01-30T08:00"), milliseconds("2019-06-08T08:00"))
"""BTC-PERPETUAL printed quarters of a dollar in this time (measured on recorded daily bars)."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """A future.

    Prices are counted in units of ``1 / price_denominator`` [quote currency], amounts in lots
    of one contract (USD on inverse ones, coin on linear ones).
    """

    name: str
    instrument_id: int
    base: str
    is_inverse: bool
    creation_ms: int
    first_trade_ms: int
    price_denominator: int
    tick_units: int
    contract_size: float
    volume_decimals: int
    filler_share: float
    typical_lots: float
    smallest_lots: int = field(default=1, kw_only=True)
    expiration_ms: int = field(default=FOREVER_MS, kw_only=True)
    settlement_period: str = field(default="perpetual", kw_only=True)
    is_on_history_only: bool = field(default=False, kw_only=True)
    details: dict[str, Any] = field(repr=False, hash=False, compare=False)

    @property
    def first_minute(self) -> int:
        """First Unix minute with a candle."""
        return self.first_trade_ms // 60_000

    @property
    def end_minute(self) -> int:
        """First Unix minute without a candle."""
        return self.expiration_ms // 60_000

    @property
    def is_perpetual(self) -> bool:
        """Whether it has no expiry of its own."""
        return self.settlement_period == "perpetual"

    @property
    def perpetual(self) -> str:
        """Name of the perpetual on the same index; its own if it is one."""
        return f"{self.name.split('-')[0]}-PERPETUAL"

    @property
    def price_index(self) -> str:
        """Name of the index it follows."""
        return f"{self.base.lower()}_{'usd' if self.is_inverse else 'usdc'}"

    @property
    def settlement_currency(self) -> str:
        """Currency it settles in, under which get_instruments lists it."""
        return self.base if self.is_inverse else "USDC"

    @property
    def tick_size(self) -> float:
        """Price grid of today [quote currency]."""
        return self.tick_units / self.price_denominator

    @property
    def index_decimals(self) -> int:
        """Decimals that its index and its mark price are published with."""
        return max(2, len(str(self.price_denominator)) - 1)

    def grid_units(self, moment_ms: int) -> int:
        """Return the price grid at a moment, in units of ``1 / price_denominator``."""
        if self.name == "BTC-PERPETUAL" and _FINE_GRID[0] <= moment_ms < _FINE_GRID[1]:
            return 1
        return self.tick_units

    def record(self, now_ms: int) -> dict[str, Any]:
        """Return what get_instrument sends at a moment."""
        is_active = now_ms < self.expiration_ms
        quote = "USD" if self.is_inverse else "USDC"
        style = "reversed" if self.is_inverse else "linear"
        return {
            "tick_size_steps": [],
            "quote_currency": quote,
            "price_index": self.price_index,
            "instrument_type": style,
            "future_type": style,
            "kind": "future",
            "underlying_type": "crypto",
            "state": "open" if is_active else "archivized",
            "expiration_timestamp": self.expiration_ms,
            "contract_size": self.contract_size,
            "min_trade_amount": self.contract_size,
            "instrument_id": self.instrument_id,
            "creation_timestamp": self.creation_ms,
            "is_active": is_active,
            "lot_size": 1,
            "tick_size": self.tick_size,
            "settlement_currency": self.settlement_currency,
            "instrument_name": self.name,
            "counter_currency": quote,
            "base_currency": self.base,
            "settlement_period": self.settlement_period,
            "base_currency_uuid": currency_id(self.base),
            "quote_currency_uuid": currency_id(quote),
            **_FEES,
            **self.details,
        }


CURRENCY_IDS = {
    "BTC": "5b71fc48-3dd3-540c-809b-f8c94d0e68b5",
    "ETH": "d85dce9b-5b73-5c3c-8978-522ce1d1c1b4",
    "USD": "dc311642-e9fb-4ba9-a312-c75c1aef4ae1",
    "USDC": "2b92315d-eab7-5bef-84fa-089a131333f5",
}


def currency_id(name: str) -> str:
    """Return the number of a currency: recorded, or made up of its name."""
    return CURRENCY_IDS.get(name) or str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


_FEES = {
    "max_leverage": 50,
    "taker_commission": 0.00035,
    "maker_commission": 0.00015,
    "block_trade_commission": 0.00025,
    "max_liquidation_commission": 0.01,
    "max_non_default_leverage": 5.0,
}

# The linear ones traded first some time after listing, which real thin contracts do too; that
# the time is hours to days is an assumption.
PERPETUALS = (
    Instrument(
        name="BTC-PERPETUAL",
        instrument_id=210838,
        base="BTC",
        is_inverse=True,
        creation_ms=1_534_242_287_000,
        first_trade_ms=1_534_242_287_000,
        price_denominator=4,
        tick_units=2,
        contract_size=10.0,
        volume_decimals=8,
        filler_share=0.01,
        typical_lots=900.0,
        details={
            "product_group": "BTC",
            "index_id": 1000033,
            "block_trade_tick_size": 0.01,
            "block_trade_min_trade_amount": 200000,
        },
    ),
    Instrument(
        name="ETH-PERPETUAL",
        instrument_id=210839,
        base="ETH",
        is_inverse=True,
        creation_ms=1_552_568_454_000,
        first_trade_ms=1_552_568_454_000,
        price_denominator=20,
        tick_units=1,
        contract_size=1.0,
        volume_decimals=6,
        filler_share=0.02,
        typical_lots=2_300.0,
        smallest_lots=30,  # so that a volume of six decimals states the price to a basis point
        details={
            "product_group": "ETH",
            "index_id": 1000034,
            "block_trade_tick_size": 0.01,
            "block_trade_min_trade_amount": 100000,
        },
    ),
    Instrument(
        name="BTC_USDC-PERPETUAL",
        instrument_id=211704,
        base="BTC",
        is_inverse=False,
        creation_ms=1_646_824_342_000,
        first_trade_ms=milliseconds("2022-03-11T14:37:21"),
        price_denominator=1,
        tick_units=1,
        contract_size=0.001,
        volume_decimals=3,
        filler_share=0.12,
        typical_lots=40.0,
        details={
            "product_group": "TIER_1",
            "index_id": 1000041,
            "block_trade_tick_size": 0.1,
            "block_trade_min_trade_amount": 5,
        },
    ),
    Instrument(
        name="ETH_USDC-PERPETUAL",
        instrument_id=211305,
        base="ETH",
        is_inverse=False,
        creation_ms=1_647_262_800_000,
        first_trade_ms=milliseconds("2022-03-15T03:12:48"),
        price_denominator=10,
        tick_units=1,
        contract_size=0.01,
        volume_decimals=2,
        filler_share=0.2,
        typical_lots=60.0,
        details={
            "product_group": "TIER_1",
            "index_id": 1000042,
            "block_trade_tick_size": 0.01,
            "block_trade_min_trade_amount": 50,
        },
    ),
)
