"""What is collected: which instruments, indices and currencies, and the channels they come over."""

import difflib
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from etl.collect import channels
from etl.collect.channels import Channel
from etl.config import Collect
from etl.errors import UsageError
from etl.instruments.names import parse_name
from etl.instruments.record import Instrument

logger = logging.getLogger(__name__)

ENDED = frozenset({"archivized", "delivered", "closed", "deactivated", "terminated"})
"""States after which nothing more comes of an instrument."""

DVOL = {"BTC": "btc_usd", "ETH": "eth_usd"}
"""The currencies that have a volatility index, and what it is called after."""


@dataclass(slots=True)
class Universe:
    """The living instruments that are collected, by name.

    `instruments` are perpetuals and dated futures, `options` options.
    """

    told: Collect
    instruments: dict[str, Instrument] = field(default_factory=dict)
    options: dict[str, Instrument] = field(default_factory=dict)

    def fill(self, found: Collection[Instrument], now_ms: int) -> None:
        """Take what is listed now for all there is.

        Raises
        ------
        UsageError
            If the settings name an instrument or a currency that is not listed.
        """
        living = {one.instrument_name: one for one in found if one.life.end_ms > now_ms}
        gone = {one.instrument_name for one in found if one.life.end_ms <= now_ms}
        gone |= {name for name in self.told.instruments if _ended_by_name(name, now_ms)}
        self._check(living, gone - living.keys())
        self.instruments = {name: one for name, one in living.items() if self._is_mine(one)}
        self.options = {name: one for name, one in living.items() if self._is_option(one)}

    def add(self, one: Instrument) -> bool:
        """Take a new listing, and tell whether it is collected."""
        if self._is_option(one):
            self.options[one.instrument_name] = one
            return True
        if self._is_mine(one):
            self.instruments[one.instrument_name] = one
            return True
        return False

    def end(self, name: str) -> Instrument | None:
        """Drop what has ended, and return it; None if it was not collected."""
        return self.instruments.pop(name, None) or self.options.pop(name, None)

    def expired(self, now_ms: int) -> list[Instrument]:
        """Return what should have ended by a moment."""
        every = [*self.instruments.values(), *self.options.values()]
        return [one for one in every if one.life.end_ms <= now_ms]

    def dataset_of(self, name: str) -> str:
        """Return which dataset the candles of an instrument are of."""
        return "perpetuals_ohlcv" if self.instruments[name].is_perpetual else "futures_ohlcv"

    @property
    def perpetuals(self) -> list[str]:
        """The names of perpetuals, sorted."""
        return sorted(name for name, one in self.instruments.items() if one.is_perpetual)

    @property
    def futures(self) -> list[str]:
        """The names of dated futures, sorted."""
        return sorted(name for name, one in self.instruments.items() if not one.is_perpetual)

    @property
    def indices(self) -> list[str]:
        """The indices that what is collected follows, sorted."""
        every = [*self.instruments.values(), *self.options.values()]
        return sorted({one.price_index for one in every if one.price_index})

    @property
    def dvol_indices(self) -> list[str]:
        """The indices that have a volatility index."""
        return [DVOL[one] for one in self.told.currencies if one in DVOL]

    def channels(self) -> Iterator[Channel]:
        """Yield every channel, the few that tell much before the many that tell little."""
        kinds, currencies = self.told.kinds, self.told.currencies
        yield from (Channel(name, "followed", "") for name in channels.FOLLOWED)
        yield from (Channel(name, "other", "") for name in self.told.channels)
        if "index" in kinds:
            yield from map(channels.index, self.indices)
        if "dvol" in kinds:
            yield from map(channels.dvol, self.dvol_indices)
        if "trades" in kinds:
            yield from map(channels.option_trades, currencies)
        if "marks" in kinds:
            of_options = {one.price_index for one in self.options.values() if one.price_index}
            yield from map(channels.option_marks, sorted(of_options))
        for one in [*self.instruments.values(), *self.options.values()]:
            yield from self.channels_of(one)

    def channels_of(self, one: Instrument) -> Iterator[Channel]:
        """Yield the channels of one instrument."""
        name, kinds = one.instrument_name, self.told.kinds
        if one.kind == "option":
            if "tickers" in kinds:
                yield channels.ticker(name, self.told.tickers, one.settlement_currency or "")
            return
        if "candles" in kinds:
            yield channels.candles(name)
        if "funding" in kinds and one.is_perpetual:
            yield channels.funding(name)
        if "quotes" in kinds:
            yield channels.quotes(name)

    def channels_about(self, one: Instrument) -> Iterator[Channel]:
        """Yield the channels an instrument shares with others: of what it follows."""
        if "index" in self.told.kinds and one.price_index:
            yield channels.index(one.price_index)
        if "marks" in self.told.kinds and one.kind == "option" and one.price_index:
            yield channels.option_marks(one.price_index)

    def _is_mine(self, one: Instrument) -> bool:
        if one.kind != "future" or one.is_routed:
            return False
        if self.told.instruments:
            return one.instrument_name in self.told.instruments
        return one.settlement_currency in self.told.currencies

    def _is_option(self, one: Instrument) -> bool:
        return one.kind == "option" and one.settlement_currency in self.told.currencies

    def _check(self, living: Collection[str], expired: Collection[str]) -> None:
        """Refuse what was never listed; what expired since it was named leaves the others alone."""
        for name in self.told.instruments:
            if name in expired and any(one in living for one in self.told.instruments):
                logger.warning("collect.instruments: %s has expired, and is left out", name)
            elif name not in living:
                near = difflib.get_close_matches(name, living, n=3, cutoff=0.5)
                shown = ", ".join(near) or "none of like name"
                message = f"collect.instruments: {name!r} is not listed; nearest: {shown}"
                raise UsageError(message)


def _ended_by_name(text: str, now_ms: int) -> bool:
    """Whether a name is of a future of a day that is over: no list may have it any more."""
    try:
        name = parse_name(text)
    except UsageError:
        return False
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return name.kind == "future" and name.expiry is not None and name.expiry < now
