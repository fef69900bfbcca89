"""What the options on one underlying that settle in one currency have in common.

Sizes of XRP are recorded; those of the other linear ones, and how much each trades, are assumed.
BTC and ETH moved by 0.0005 throughout in 2021 and move by 0.0001 below 0.005 since; the change is
put at the listing date `FINE_FROM_MS`.
"""

from dataclasses import dataclass, field

from tests.exchange.incidents import milliseconds

FINE_FROM_MS = milliseconds("2022-01-01")
_COIN_STEPS = ({"above_price": 0.005, "tick_size": 0.0005},)


@dataclass(frozen=True, slots=True)
class Family:
    """Options whose names begin alike: ``BTC-…``, ``SOL_USDC-…``.

    Prices are in coin for inverse ones and in USDC for linear ones; `daily_trades` are those of a
    typical day of 2024; `nice_steps` are what the distance of two strikes may begin with.
    """

    name: str
    number: int
    base: str
    settlement_currency: str
    listed_from_ms: int
    daily_trades: float
    contract_size: float
    lot: float
    tick_size: float
    block_tick_size: float
    block_least: float
    product_group: str
    index_id: int
    listed_until_ms: int = field(default=1 << 62, kw_only=True)
    nice_steps: tuple[float, ...] = field(default=(1.0, 2.0, 5.0), kw_only=True)

    @property
    def is_inverse(self) -> bool:
        """Whether premiums are paid in the coin itself."""
        return self.settlement_currency != "USDC"

    @property
    def perpetual(self) -> str:
        """Name of the perpetual on the same index."""
        return f"{self.name}-PERPETUAL"

    @property
    def price_index(self) -> str:
        """Name of the index."""
        return f"{self.base.lower()}_{'usd' if self.is_inverse else 'usdc'}"

    @property
    def trade_prefix(self) -> str:
        """What its trade ids begin with: nothing for BTC."""
        return "" if self.name == "BTC" else f"{self.name}-"

    def tick_steps(self, listed_ms: int) -> list[dict[str, float]]:
        """Return what get_instruments calls tick_size_steps."""
        return list(_COIN_STEPS) if self.is_inverse and listed_ms >= FINE_FROM_MS else []

    def tick_of(self, listed_ms: int) -> float:
        """Return the smallest price step [settlement currency]."""
        return 0.0005 if self.is_inverse and listed_ms < FINE_FROM_MS else self.tick_size


_LINEAR_FROM_MS = milliseconds("2024-03-05")

FAMILIES = (
    Family("BTC", 0, "BTC", "BTC", milliseconds("2016-06-10"), 33_000.0,
           1.0, 0.1, 0.0001, 0.0001, 25.0, "TIER_1", 1),
    Family("ETH", 1, "ETH", "ETH", milliseconds("2019-03-15"), 17_000.0,
           1.0, 1.0, 0.0001, 0.0001, 250.0, "TIER_1", 2),
    Family("BTC_USDC", 2, "BTC", "USDC", _LINEAR_FROM_MS, 4_500.0,
           0.01, 0.01, 5.0, 5.0, 10.0, "TIER_1", 12000001),
    Family("ETH_USDC", 3, "ETH", "USDC", _LINEAR_FROM_MS, 3_500.0,
           0.1, 0.1, 0.2, 0.2, 100.0, "TIER_1", 12000002),
    Family("SOL_USDC", 4, "SOL", "USDC", _LINEAR_FROM_MS, 2_200.0,
           10.0, 10.0, 0.01, 0.01, 5_000.0, "TIER_2", 12000003),
    Family("XRP_USDC", 5, "XRP", "USDC", milliseconds("2023-05-05"), 1_300.0,
           1_000.0, 1_000.0, 0.0005, 0.0005, 75_000.0, "TIER_2", 12000004,
           nice_steps=(1.25, 2.5, 5.0)),
    Family("SOL", 6, "SOL", "SOL", milliseconds("2022-04-29"), 1_500.0,
           1.0, 1.0, 0.0001, 0.0001, 1_000.0, "TIER_2", 3,
           listed_until_ms=milliseconds("2022-12-31")),
)  # fmt: skip
BY_NAME = {family.name: family for family in FAMILIES}
CURRENCIES = ("BTC", "ETH", "USDC", "SOL")


def families_of(currency: str) -> tuple[Family, ...]:
    """Return the families that settle in a currency."""
    return tuple(family for family in FAMILIES if family.settlement_currency == currency)
