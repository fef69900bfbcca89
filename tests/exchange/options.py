"""Options as the exchange lists them: the records of `tests.exchange.option_market`'s chains."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from tests.exchange.instruments import Instrument, currency_id
from tests.exchange.market import Market
from tests.exchange.option_market.chain import FIRST_ID, IDS_OF_A_FAMILY, Chain, chain
from tests.exchange.option_market.families import BY_NAME, FAMILIES
from tests.exchange.trades import Ints

ON_HISTORY_ONLY = ("SOL",)
"""Settlement currencies that www knows nothing of."""
_SIDES = {1.0: "call", -1.0: "put"}


def records(market: Market, currency: str, *, is_expired: bool) -> list[dict[str, Any]]:
    """Return the records of options that live, or that expired, by now."""
    return [
        record
        for one in _chains(market, currency)
        for record in _records(
            one, _listed(one, market.now_ms, 0, is_expired=is_expired), market.now_ms
        )
    ]


def texts(
    market: Market, currency: str, since_ms: int, *, is_expired: bool
) -> list[orjson.Fragment]:
    """Return the same as JSON, an expiry's records at once; of expired ones those since a moment.

    A list of everything has a hundred megabytes and more, so it is never there as objects.
    """
    return [
        orjson.Fragment(text)
        for one in _chains(market, currency)
        for text in _texts(
            one, _listed(one, market.now_ms, since_ms, is_expired=is_expired), market.now_ms
        )
    ]


def record(market: Market, name: str) -> dict[str, Any] | None:
    """Return the record of an option listed by now; None if there is none of that name."""
    family = name.partition("-")[0]
    if family not in BY_NAME:
        return None
    one = chain(market.seed, family)
    row = one.rows.get(name)
    if row is None or one.creation_ms[row] > market.now_ms:
        return None
    return next(_records(one, np.array([row]), market.now_ms))


def strikes_at_listing(seed: int, future: Instrument) -> tuple[float, ...]:
    """Return three strikes around the price at which the options of a future were listed [USD]."""
    one = chain(seed, future.name.partition("-")[0])
    number = next(n for n, each in enumerate(one.expiries) if each.name == future.name)
    rows = one.of_expiry(number)
    listed = one.creation_ms[rows] == one.expiries[number].listed_ms
    strikes = np.unique(one.strike[rows][listed])
    middle = int(np.argmin(np.diff(np.log(strikes)))) + 1  # the grid is dense near the money
    return tuple(strikes[middle - 1 : middle + 2].tolist())


def _chains(market: Market, currency: str) -> list[Chain]:
    families = [one for one in FAMILIES if currency in ("any", one.settlement_currency)]
    return [chain(market.seed, family.name) for family in families]


def _listed(one: Chain, now_ms: int, since_ms: int, *, is_expired: bool) -> Ints:
    """Return the rows of options that live now, or that expired since a moment."""
    wanted = (one.creation_ms <= now_ms) & (one.expiration_ms >= since_ms)
    return np.flatnonzero(wanted & ((one.expiration_ms <= now_ms) == is_expired))


def _records(one: Chain, rows: Ints, now_ms: int) -> Iterator[dict[str, Any]]:
    """Yield the records of some rows, those of an expiry from one pattern."""
    for number, part in _by_expiry(one, rows):
        common = _common(one, number, now_ms)
        for name, own_id, strike, side, created in _own(one, part):
            yield {
                **common,
                "instrument_name": name,
                "instrument_id": own_id,
                "strike": strike,
                "option_type": side,
                "creation_timestamp": created,
            }


def _texts(one: Chain, rows: Ints, now_ms: int) -> Iterator[bytes]:
    """Yield the JSON of the records of each expiry, with commas between them."""
    for number, part in _by_expiry(one, rows):
        common = orjson.dumps(_common(one, number, now_ms))[:-1].decode()
        yield ",".join(
            f'{common},"instrument_name":"{name}","instrument_id":{own_id},"strike":{strike},'
            f'"option_type":"{side}","creation_timestamp":{created}}}'
            for name, own_id, strike, side, created in _own(one, part)
        ).encode()


def _by_expiry(one: Chain, rows: Ints) -> Iterator[tuple[int, Ints]]:
    numbers, starts = np.unique(one.expiry[rows], return_index=True)
    yield from zip(numbers.tolist(), np.split(rows, starts[1:]), strict=False)


def _own(one: Chain, rows: Ints) -> Iterator[tuple[str, int, float, str, int]]:
    """Yield what is each option's own: name, number, strike, side and listing."""
    ids = FIRST_ID + one.family.number * IDS_OF_A_FAMILY
    columns = (rows, one.strike[rows], one.sign[rows], one.creation_ms[rows])
    for row, strike, sign, created in zip(*(each.tolist() for each in columns), strict=True):
        yield one.names[row], ids + row, strike, _SIDES[sign], created


def _common(one: Chain, number: int, now_ms: int) -> dict[str, Any]:
    """Return what all options of an expiry have in common."""
    family, expiry = one.family, one.expiries[number]
    is_active = now_ms < expiry.expiration_ms
    quote = family.base if family.is_inverse else "USDC"
    return {
        "kind": "option",
        "state": "open" if is_active else "archivized",
        "is_active": is_active,
        "tick_size_steps": family.tick_steps(expiry.listed_ms),
        "tick_size": family.tick_of(expiry.listed_ms),
        "quote_currency": quote,
        "price_index": family.price_index,
        "instrument_type": "reversed" if family.is_inverse else "linear",
        "contract_size": family.contract_size,
        "min_trade_amount": family.lot,
        "block_trade_min_trade_amount": family.block_least,
        "block_trade_tick_size": family.block_tick_size,
        "block_trade_commission": 0.0003,
        "settlement_currency": family.settlement_currency,
        "counter_currency": "USD" if family.is_inverse else "USDC",
        "base_currency": family.base,
        "settlement_period": expiry.period,
        "expiration_timestamp": expiry.expiration_ms,
        "base_currency_uuid": currency_id(family.base),
        "quote_currency_uuid": currency_id(quote),
        "underlying_type": "crypto",
        "product_group": family.product_group,
        "maker_commission": 0.0003,
        "taker_commission": 0.0003,
        "lot_size": 1,
        "index_id": family.index_id,
    }
