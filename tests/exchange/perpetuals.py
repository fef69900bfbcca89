"""The perpetuals beside the first four: linear ones of every kind, one delisted, one paid in coin.

Recorded: listing, number, tick and size of what was listed in 2022 (a session of June 2022), and
which names there are in 2026. Assumed: all numbers of those of 2026, that they were listed one
after the other in August and September 2026, and when SOL-PERPETUAL and MATIC were delisted.
"""

from tests.exchange.incidents import milliseconds
from tests.exchange.instruments import FOREVER_MS, Instrument

_NUMBER = 500_000
# base: (listed, number, tick, decimals of the price, contract, decimals of it, delisted)
_OF_2022 = {
    "SOL": (1_647_349_200_000, 213_039, 1, 2, 0.1, 1, None),
    "XRP": (1_647_435_599_000, 212_737, 1, 4, 10.0, 0, None),
    "DOGE": (1_651_151_787_000, 215_758, 1, 5, 100.0, 0, None),
    "MATIC": (1_651_149_393_000, 215_752, 1, 4, 10.0, 0, "2024-10-04T08:00"),
}
# base: (listed, tick, decimals of the price, contract, decimals of it, underlying type)
_OF_2026 = {
    "HYPE": ("2026-06-16T09:00", 1, 3, 0.1, 1, "crypto"),
    "1000PEPE": ("2026-08-10T09:00", 1, 6, 100.0, 0, "crypto"),
    "1000SHIB": ("2026-08-10T09:00:01", 1, 6, 100.0, 0, "crypto"),
    "BASED1": ("2026-08-12T09:00", 1, 5, 10.0, 0, "crypto"),
    "AAPL": ("2026-08-17T09:00", 1, 2, 0.01, 2, "equity"),
    "NVDA": ("2026-08-17T09:00:01", 1, 2, 0.01, 2, "equity"),
    "SPY": ("2026-08-24T09:00", 1, 2, 0.01, 2, "equity_etf"),
    "GOLD": ("2026-08-31T09:00", 1, 1, 0.001, 3, "commodity"),
    "WTIOIL": ("2026-08-31T09:00:01", 1, 2, 0.1, 1, "commodity"),
    "COIN50": ("2026-09-07T09:00", 1, 2, 0.01, 2, "crypto_index"),
    "OPENAI": ("2026-09-21T09:00", 1, 1, 0.01, 2, "preipo"),
}


def _linear(  # noqa: PLR0913  (a row of a table)
    base: str,
    number: int,
    *,
    listed_ms: int,
    tick: int,
    decimals: int,
    contract: float,
    contract_decimals: int,
    underlying: str = "crypto",
    delisted: str | None = None,
) -> Instrument:
    return Instrument(
        name=f"{base}_USDC-PERPETUAL",
        instrument_id=number,
        base=base,
        is_inverse=False,
        creation_ms=listed_ms,
        first_trade_ms=listed_ms + 3_600_000,
        price_denominator=10**decimals,
        tick_units=tick,
        contract_size=contract,
        volume_decimals=contract_decimals,
        filler_share=0.3,
        typical_lots=30.0,
        expiration_ms=milliseconds(delisted) if delisted else FOREVER_MS,
        details={"underlying_type": underlying, "product_group": "TIER_2", "index_id": number},
    )


_SOL = Instrument(
    name="SOL-PERPETUAL",
    instrument_id=215_830,
    base="SOL",
    is_inverse=True,
    creation_ms=1_651_219_567_000,
    first_trade_ms=1_651_219_567_000,
    price_denominator=100,
    tick_units=1,
    contract_size=10.0,
    volume_decimals=6,
    filler_share=0.4,
    typical_lots=20.0,
    expiration_ms=milliseconds("2022-12-30T08:00"),
    is_on_history_only=True,
    details={"product_group": "SOL", "index_id": 1_000_050},
)

LATER_PERPETUALS = (
    _SOL,
    *(
        _linear(
            base, number, listed_ms=listed, tick=tick, decimals=decimals, contract=contract,
            contract_decimals=places, delisted=delisted,
        )
        for base, (listed, number, tick, decimals, contract, places, delisted) in _OF_2022.items()
    ),
    *(
        _linear(
            base, _NUMBER + number, listed_ms=milliseconds(listed), tick=tick, decimals=decimals,
            contract=contract, contract_decimals=places, underlying=underlying,
        )
        for number, (base, (listed, tick, decimals, contract, places, underlying)) in enumerate(
            _OF_2026.items()
        )
    ),
)  # fmt: skip
