"""Options as the exchange lists them: records only, no market yet; made when first asked for.

Assumed: an expiry has options when it has a dated future, from the same listing on, at 91 strikes
between a quarter and three times the price at listing. That is about as many as are on record.
Some linear ones have strikes with a ``d`` for the decimal point, as recorded.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from tests.exchange.incidents import milliseconds
from tests.exchange.instruments import CURRENCY_IDS, Instrument
from tests.exchange.listing import FUTURES
from tests.exchange.market import Market

STRIKES, LOWEST, HIGHEST = 91, 0.25, 3.0
FIRST_ID = 1_000_000
XRP_EXPIRIES = tuple(
    milliseconds(f"{day}T08:00") for day in ("2023-06-30", "2023-07-28", "2026-03-27")
)
XRP_STRIKES = tuple(0.4 + 0.0125 * number for number in range(40))
EIGHT_WEEKS_MS = 56 * 86_400_000
_SIDES = (("C", "call"), ("P", "put"))


def records(market: Market, currency: str, *, is_expired: bool) -> list[dict[str, Any]]:
    """Return the records of options that live, or that expired, by now."""
    wanted = [
        record
        for record in _all(market.seed)
        if currency in ("any", record["settlement_currency"])
        and record["creation_timestamp"] <= market.now_ms
        and (record["expiration_timestamp"] <= market.now_ms) == is_expired
    ]
    state = {"state": "archivized" if is_expired else "open", "is_active": not is_expired}
    return [record | state for record in wanted]


@lru_cache(maxsize=2)
def _all(seed: int) -> tuple[dict[str, Any], ...]:
    found = [*_linear()]
    for future in FUTURES:
        found += _of_expiry(seed, future)
    return tuple(record | {"instrument_id": FIRST_ID + n} for n, record in enumerate(found))


@lru_cache(maxsize=4_000)
def strikes_of(seed: int, future: Instrument) -> tuple[float, ...]:
    """Return the strikes [USD] of the options that expire with a dated future, ascending."""
    tape = _market(seed).world.tapes[future.perpetual]
    level = math.exp(tape.log_price(future.creation_ms))
    step = 10 ** math.floor(math.log10(level * (HIGHEST - LOWEST) / STRIKES))
    width = level * (HIGHEST - LOWEST) / (STRIKES - 1)
    found = {round((level * LOWEST + n * width) / step) * step for n in range(STRIKES)}
    return tuple(sorted(float(strike) for strike in found))


@lru_cache(maxsize=2)
def _market(seed: int) -> Market:
    return Market(seed, milliseconds("2020-01-01"))


def _of_expiry(seed: int, future: Instrument) -> Iterator[dict[str, Any]]:
    common = {
        "tick_size_steps": [{"above_price": 0.005, "tick_size": 0.0005}],
        "tick_size": 0.0001,
        "quote_currency": future.base,
        "price_index": future.price_index,
        "instrument_type": "reversed",
        "contract_size": 1.0,
        "min_trade_amount": 0.1 if future.base == "BTC" else 1,
        "block_trade_min_trade_amount": 25,
        "settlement_currency": future.base,
        "counter_currency": "USD",
        "base_currency": future.base,
        "settlement_period": future.settlement_period,
        "expiration_timestamp": future.expiration_ms,
        "creation_timestamp": future.creation_ms,
        "base_currency_uuid": CURRENCY_IDS[future.base],
        "quote_currency_uuid": CURRENCY_IDS[future.base],
    }
    strikes = [(f"{strike:.0f}", strike) for strike in strikes_of(seed, future)]
    yield from _sides(future.name, strikes, common)


def _linear() -> Iterator[dict[str, Any]]:
    for expiry in XRP_EXPIRIES:
        strikes = [(f"{strike:g}".replace(".", "d"), round(strike, 4)) for strike in XRP_STRIKES]
        common = {
            "tick_size_steps": [],
            "tick_size": 0.0005,
            "quote_currency": "USDC",
            "price_index": "xrp_usdc",
            "instrument_type": "linear",
            "contract_size": 1000,
            "min_trade_amount": 1000,
            "block_trade_min_trade_amount": 75_000,
            "settlement_currency": "USDC",
            "counter_currency": "USDC",
            "base_currency": "XRP",
            "settlement_period": "month",
            "expiration_timestamp": expiry,
            "creation_timestamp": expiry - EIGHT_WEEKS_MS,
            "base_currency_uuid": "e17a44c8-6ea1-564f-a02c-2a9ca1d8eec4",
            "quote_currency_uuid": CURRENCY_IDS["USDC"],
        }
        yield from _sides(f"XRP_USDC-{_day(expiry)}", strikes, common)


def _day(ms: int) -> str:
    expiry = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{expiry.day}{expiry:%b%y}".upper()


def _sides(
    family: str, strikes: list[tuple[str, float]], common: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for words, strike in strikes:
        for letter, side in _SIDES:
            yield {
                **common,
                "kind": "option",
                "instrument_name": f"{family}-{words}-{letter}",
                "strike": strike,
                "option_type": side,
                "underlying_type": "crypto",
                "product_group": "TIER_1",
                "maker_commission": 0.0003,
                "taker_commission": 0.0003,
                "block_trade_commission": 0.0003,
                "block_trade_tick_size": 0.0001,
                "lot_size": 1,
                "index_id": 1,
            }
