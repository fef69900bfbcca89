"""public/get_expirations: the days on which something expires."""

from typing import Any

from tests.exchange.currencies import CURRENCIES
from tests.exchange.market import Market
from tests.exchange.option_market.families import FAMILIES
from tests.exchange.params import Params

_LISTED = tuple(currency["currency"] for currency in CURRENCIES)


def get_expirations(market: Market, params: Params) -> Any:
    """Return days by kind, as names have them: for all currencies at once, or grouped by each.

    As in recorded answers a perpetual is a future, the last one.
    """
    currency = params.one_of("currency", (*_LISTED, "any", "grouped"))
    kind = params.one_of("kind", ("future", "option", "any"))
    kinds = ("option", "future") if kind == "any" else (kind,)
    if currency == "any":
        return {each: _days(market, each, "any") for each in kinds}
    named = _LISTED if currency == "grouped" else (currency,)
    return {one.lower(): {each: _days(market, each, one) for each in kinds} for one in named}


def _days(market: Market, kind: str, currency: str) -> list[str]:
    """Return the days of a kind that are to come, in order of time."""
    expires = _of_futures(market, currency) if kind == "future" else _of_options(market, currency)
    return sorted(expires, key=lambda day: expires[day])


def _of_futures(market: Market, currency: str) -> dict[str, int]:
    return {
        one.name.partition("-")[2]: one.expiration_ms
        for one in market.instruments
        if currency in ("any", one.settlement_currency)
    }


def _of_options(market: Market, currency: str) -> dict[str, int]:
    return {
        one.name.partition("-")[2]: one.expiration_ms
        for family in FAMILIES
        if currency in ("any", family.settlement_currency)
        for one in market.world.options.chain(family.name).expiries
        if one.listed_ms <= market.now_ms < one.expiration_ms
    }
