"""Which feed a channel's name means: none where it is unknown, malformed or routed elsewhere."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from tests.exchange import options, volatility_index
from tests.exchange.errors import ApiError
from tests.exchange.instruments import Instrument
from tests.exchange.listing import ALL_PERPETUALS, BY_NAME
from tests.exchange.market import Market
from tests.exchange.option_market.families import BY_NAME as FAMILIES
from tests.exchange.option_market.families import CURRENCIES
from tests.exchange.socket import quotes
from tests.exchange.socket.board import Board, Marks
from tests.exchange.socket.chart import Chart
from tests.exchange.socket.feed import STEPS_MS, Feed
from tests.exchange.socket.indices import PriceIndex, VolatilityIndex
from tests.exchange.socket.lifecycle import Creations, States, lives_of
from tests.exchange.socket.platform import PlatformState, PublicMethodsState
from tests.exchange.socket.prints import OfFuture, OfFutures, OfOptions, Source, Trades
from tests.exchange.tape import RESOLUTIONS

RAW_UNAUTHORIZED = 13778
KINDS = ("future", "option", "spot", "future_combo", "option_combo", "combo", "any")
_WITH_RAW = ("book", "ticker", "trades", "perpetual")
_SETTLED = ("BTC", "ETH", "USDC", "USDT", "EURR")
_VOLATILITY = {f"{currency.lower()}_usd": currency for currency in volatility_index.LOG_LEVELS}

Parts = list[str]


class Channels:
    """The channels of a market: feeds are made when first asked for, and shared."""

    def __init__(
        self,
        market: Market,
        maintenance: Sequence[tuple[int, int]] = (),
        *,
        is_replay: bool = False,
        held_moments: int = 16,
    ) -> None:
        self._held_moments = held_moments
        self._market, self._is_replay = market, is_replay
        self._maintenance = maintenance
        self._made: dict[str, Feed] = {}
        self._sources: dict[str, Source] = {}
        self._told: dict[str, quotes.Told] = {}
        self._boards: dict[str, Board] = {}
        self._lives = lru_cache(maxsize=64)(partial(lives_of, market.seed))
        self._families: dict[str, Callable[[Market, Parts], Feed | None]] = {
            "chart": self._chart,
            "ticker": self._ticker,
            "incremental_ticker": self._incremental,
            "quote": self._quote,
            "perpetual": self._perpetual,
            "trades": self._trades,
            "deribit_price_index": self._price_index,
            "deribit_volatility_index": self._volatility_index,
            "platform_state": self._platform,
            "markprice": self._marks,
            "instrument": self._instrument,
        }

    def feed(self, market: Market, name: str) -> Feed | None:
        """Return the feed of a channel as it can be subscribed to now; None if there is none.

        Raises
        ------
        ApiError
            13778: nobody who has not logged in gets raw data.
        """
        family, *rest = name.split(".")
        if family in _WITH_RAW and name.endswith(".raw"):
            raise ApiError(RAW_UNAUTHORIZED)
        make = self._families.get(family)
        if make is None:
            return None
        feed = make(market, rest)
        return feed and self._made.setdefault(name, feed)

    def made(self, name: str) -> Feed:
        """Return the feed of a channel that somebody is subscribed to."""
        return self._made[name]

    def _chart(self, market: Market, parts: Parts) -> Feed | None:
        match parts:
            case ["trades", name, resolution] if resolution in RESOLUTIONS:
                future = _future(market, name)
                return future and Chart(market, future, RESOLUTIONS[resolution])
        return None

    def _ticker(self, market: Market, parts: Parts) -> Feed | None:
        match parts:
            case [name, interval] if interval in STEPS_MS:
                feed = self._of(quotes.Ticker, market, name, STEPS_MS[interval])
                return self._replayed(feed, name) if self._is_replay else feed
        return None

    def _replayed(self, feed: quotes.Ticker | None, name: str) -> Feed | None:
        if feed is None or name in BY_NAME:
            return feed
        return quotes.ReplayedTicker(feed.told, feed.lives, feed.step_ms, self._board(name), name)

    def _incremental(self, market: Market, parts: Parts) -> Feed | None:
        if len(parts) != 1:
            return None
        return self._of(quotes.IncrementalTicker, market, parts[0], quotes.INCREMENT_MS)

    def _quote(self, market: Market, parts: Parts) -> Feed | None:
        if len(parts) != 1:
            return None
        return self._of(quotes.Quote, market, parts[0], STEPS_MS["100ms"])

    def _of(
        self, kind: type[quotes.Ticker], market: Market, name: str, step: int
    ) -> quotes.Ticker | None:
        lives = _lives(market, name)
        if lives is None:
            return None
        if name not in self._told:
            future = BY_NAME.get(name)
            self._told[name] = (
                quotes.of_future(future) if future else quotes.of_option(self._board(name), name)
            )
        return kind(self._told[name], lives, step)

    def _board(self, name: str) -> Board:
        family = name.partition("-")[0]
        if family not in self._boards:
            self._boards[family] = Board(self._market, family, self._held_moments)
        return self._boards[family]

    @staticmethod
    def _perpetual(market: Market, parts: Parts) -> Feed | None:
        match parts:
            case [name, interval] if interval in STEPS_MS:
                future = _future(market, name)
                if future is not None and future.is_perpetual:
                    return quotes.Perpetual(future, STEPS_MS[interval])
        return None

    def _trades(self, market: Market, parts: Parts) -> Feed | None:
        match parts:
            case [kind, currency, interval] if kind in KINDS and interval in STEPS_MS:
                if currency in _SETTLED:
                    return Trades(self._all(kind, currency), STEPS_MS[interval])
            case [name, interval] if interval in STEPS_MS and _lives(market, name):
                return Trades((self._source(name),), STEPS_MS[interval])
        return None

    def _all(self, kind: str, currency: str) -> tuple[Source, ...]:
        found: list[Source] = []
        if kind in ("option", "any") and currency in CURRENCIES:
            found.append(self._source(currency))
        if kind in ("future", "any"):
            found.append(OfFutures(self._source, currency))
        return tuple(found)

    def _source(self, name: str) -> Source:
        if name not in self._sources:
            future = BY_NAME.get(name)
            if future:
                self._sources[name] = OfFuture(self._market, future)
            elif name in CURRENCIES:
                self._sources[name] = OfOptions(name)
            else:
                family = FAMILIES[name.partition("-")[0]]
                self._sources[name] = OfOptions(family.settlement_currency, name)
        return self._sources[name]

    @staticmethod
    def _price_index(_market: Market, parts: Parts) -> Feed | None:
        for perpetual in ALL_PERPETUALS if len(parts) == 1 else ():
            if perpetual.price_index == parts[0]:
                return PriceIndex(parts[0], perpetual.name)
        return None

    @staticmethod
    def _volatility_index(_market: Market, parts: Parts) -> Feed | None:
        if len(parts) != 1 or parts[0] not in _VOLATILITY:
            return None
        return VolatilityIndex(parts[0], _VOLATILITY[parts[0]])

    @staticmethod
    def _marks(_market: Market, parts: Parts) -> Feed | None:
        for family in FAMILIES.values():
            if parts == ["options", family.price_index]:
                return Marks(family)
        return None

    def _instrument(self, _market: Market, parts: Parts) -> Feed | None:
        match parts:
            case [("state" | "creation") as what, kind, currency] if kind in KINDS and currency in (
                *_SETTLED,
                "any",
            ):
                lives = self._lives(kind, currency)
                return States(lives) if what == "state" else Creations(lives)
        return None

    def _platform(self, _market: Market, parts: Parts) -> Feed | None:
        if not parts:
            return PlatformState(self._maintenance)
        return PublicMethodsState() if parts == ["public_methods_state"] else None


def _future(market: Market, name: str) -> Instrument | None:
    """Return a future that lives now."""
    found = BY_NAME.get(name)
    lives = found and found.creation_ms <= market.now_ms < found.expiration_ms
    return found if lives else None


def _lives(market: Market, name: str) -> tuple[int, int] | None:
    """Return from when until when an instrument lives that does now [Unix ms]."""
    if future := _future(market, name):
        return future.creation_ms, future.expiration_ms
    record = None if name in BY_NAME else options.record(market, name)
    if record is None or record["state"] != "open":
        return None
    return record["creation_timestamp"], record["expiration_timestamp"]
