"""Spot pairs and combos as the exchange lists them: records only, they have no market here.

Members and names of combos are those of recorded ones. Assumed: a pair of spot lacks what an
expiry and a settlement would say; a combo of futures joins two neighbours of the calendar, or the
nearest with the perpetual; each expiry has one straddle, one strangle and one call spread around
the price at listing; and a combo lives from six hours after its younger leg to its first expiry.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from tests.exchange import options
from tests.exchange.incidents import milliseconds
from tests.exchange.instruments import Instrument
from tests.exchange.listing import FUTURES
from tests.exchange.market import Market

FIRST_SPOT_ID, FIRST_COMBO_ID = 212_500, 2_000_000
SIX_HOURS_MS = 6 * 3_600_000
_PAIRS = (
    ("BTC", "USDC", "2023-04-24", 1.0, 0.0001),
    ("ETH", "USDC", "2023-04-24", 0.1, 0.001),
    ("ETH", "BTC", "2023-05-22", 0.0001, 0.001),
    ("BTC", "USDT", "2023-09-12", 1.0, 0.0001),
    ("ETH", "USDT", "2023-09-12", 0.1, 0.001),
    ("SOL", "USDC", "2024-02-27", 0.01, 0.01),
    ("XRP", "USDC", "2024-02-27", 0.0001, 0.1),
    ("BNB", "USDC", "2024-08-06", 0.1, 0.001),
    ("PAXG", "USDC", "2025-03-11", 0.1, 0.001),
    ("SOL", "ETH", "2026-03-03", 0.00001, 0.01),
)
_ROUTED, _ROUTED_FROM_MS = {"BTC", "ETH", "XRP", "BNB", "SOL", "PAXG"}, milliseconds("2026-09-17")
_LOCKED = "SOL_ETH"


def records(market: Market, kind: str, currency: str, *, is_expired: bool) -> list[dict[str, Any]]:
    """Return the records of a kind that live, or that expired, by now."""
    found = _spot() if kind == "spot" else _combos(market.seed)
    state = {"state": "archivized" if is_expired else "open", "is_active": not is_expired}
    return [
        record | state | _venue(record, market.now_ms)
        for record in found
        if record["kind"] == kind
        and currency in ("any", record.get("settlement_currency", record["base_currency"]))
        and record["creation_timestamp"] <= market.now_ms
        and (record.get("expiration_timestamp", market.now_ms + 1) <= market.now_ms) == is_expired
    ]


def is_routed(name: str, now_ms: int) -> bool:
    """Whether a pair is traded on Coinbase by now: no candles and no trades of it."""
    base, _, quote = name.partition("_")
    return base in _ROUTED and quote == "USDC" and now_ms >= _ROUTED_FROM_MS


def _venue(record: dict[str, Any], now_ms: int) -> dict[str, Any]:
    if is_routed(record["instrument_name"], now_ms):
        return {"is_cbe_routed": True, "is_csr": True}
    return {"state": "locked"} if record["instrument_name"] == _LOCKED else {}


@lru_cache(maxsize=1)
def _spot() -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "kind": "spot",
            "instrument_name": f"{base}_{quote}",
            "instrument_id": FIRST_SPOT_ID + number,
            "price_index": f"{base}_{quote}".lower(),
            "instrument_type": "linear",
            "base_currency": base,
            "quote_currency": quote,
            "counter_currency": quote,
            "creation_timestamp": milliseconds(f"{day}T09:00"),
            "tick_size": tick,
            "tick_size_steps": [],
            "contract_size": smallest,
            "min_trade_amount": smallest,
            "maker_commission": 0.0,
            "taker_commission": 0.0,
        }
        for number, (base, quote, day, tick, smallest) in enumerate(_PAIRS)
    )


@lru_cache(maxsize=2)
def _combos(seed: int) -> tuple[dict[str, Any], ...]:
    found = [*_spreads(), *_of_options(seed)]
    return tuple(one | {"instrument_id": FIRST_COMBO_ID + n} for n, one in enumerate(found))


def _spreads() -> Iterator[dict[str, Any]]:
    """Yield the spreads between neighbours, each made while both legs live."""
    for coin in sorted({future.base for future in FUTURES}):
        ordered = sorted(
            (each for each in FUTURES if each.base == coin), key=lambda one: one.expiration_ms
        )
        for near, far in pairwise(ordered):
            yield _spread(near, near, "PERP")
            if max(near.creation_ms, far.creation_ms) + SIX_HOURS_MS < near.expiration_ms:
                yield _spread(far, near, near.name.partition("-")[2])


def _spread(named: Instrument, near: Instrument, other: str) -> dict[str, Any]:
    day = named.name.partition("-")[2]
    return _common(near, max(named.creation_ms, near.creation_ms)) | {
        "kind": "future_combo",
        "instrument_name": f"{near.base}-FS-{day}_{other}",
        "quote_currency": "USD",
        "tick_size": near.tick_size,
        "contract_size": near.contract_size,
        "min_trade_amount": near.contract_size,
    }


def _of_options(seed: int) -> Iterator[dict[str, Any]]:
    for future in FUTURES:
        lower, middle, upper = options.strikes_at_listing(seed, future)
        for words in (
            f"STRD-{{day}}-{middle:.0f}",
            f"STRG-{{day}}-{lower:.0f}_{upper:.0f}",
            f"CS-{{day}}-{middle:.0f}_{upper:.0f}",
        ):
            name = words.format(day=future.name.partition("-")[2])
            yield _common(future, future.creation_ms) | {
                "kind": "option_combo",
                "instrument_name": f"{future.base}-{name}",
                "quote_currency": future.base,
                "tick_size": 0.0001,
                "contract_size": 1.0,
                "min_trade_amount": 0.1 if future.base == "BTC" else 1.0,
            }


def _common(leg: Instrument, listed_ms: int) -> dict[str, Any]:
    """Return what a combo has of the leg that expires first."""
    return {
        "price_index": leg.price_index,
        "instrument_type": "reversed",
        "base_currency": leg.base,
        "settlement_currency": leg.base,
        "counter_currency": "USD",
        "settlement_period": leg.settlement_period,
        "expiration_timestamp": leg.expiration_ms,
        "creation_timestamp": listed_ms + SIX_HOURS_MS,
        "maker_commission": 0.0,
        "taker_commission": 0.0,
        "tick_size_steps": [],
    }
