"""What becomes of the data of each channel: live rows, ages, and news of what is listed.

The desk knows the rows of every dataset that is live. Its `routes` take data apart on the event
loop, as they come; `gather` turns what came into rows, away from it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import polars as pl

from etl.catalog import DATASETS
from etl.collect.board import Board, Source
from etl.collect.candles import Candles
from etl.collect.channels import Channel, family_of
from etl.collect.clock import ExchangeClock
from etl.collect.confirm import Part, transformed
from etl.collect.intake import Handle, Route, kept
from etl.collect.messages import (
    read_bar,
    read_platform,
    read_price,
    read_stamp,
    read_stamps,
    read_state,
)
from etl.collect.prices import MINUTE_MS, IndexMinutes
from etl.collect.rows import ANSWER, SOCKET, LiveRows
from etl.collect.unheard import Unheard
from etl.collect.universe import ENDED, Universe
from etl.dataset import Fetched
from etl.deribit.numbers import UNREADABLE
from etl.instruments.answers import read_one
from etl.instruments.names import settles_in
from etl.instruments.record import Instrument

logger = logging.getLogger(__name__)

AHEAD_MS = 60_000
"""How far what comes may be ahead of the exchange's now: its stamp is wrong then."""
TRADES, CANDLES_OF_OPTIONS = "option_trades", "options_ohlcv"
LIVE = (
    "perpetuals_ohlcv", "futures_ohlcv", "funding_rates", "volatility_index", "index_prices",
    TRADES, CANDLES_OF_OPTIONS,
)  # fmt: skip
"""The datasets that have a live day."""


@dataclass
class Desk:
    """Takes the data of channels.

    Attributes
    ----------
    tickers
        The newest message of each option's ticker, by channel.
    listed, ended
        Told of every instrument that is new, and of every name that ended.
    """

    board: Board
    clock: ExchangeClock
    universe: Universe
    listed: Callable[[Instrument], None]
    ended: Callable[[str], None]
    candles: Candles = field(default_factory=Candles)
    minutes: IndexMinutes = field(default_factory=IndexMinutes)
    live: dict[str, LiveRows] = field(
        default_factory=lambda: {name: LiveRows(DATASETS[name]) for name in LIVE}
    )
    tickers: dict[str, bytes] = field(default_factory=dict)
    unheard: Unheard = field(default_factory=Unheard)
    minute_ms: int = 0  # the one that was not over when what is merged was gathered
    _trades: list[tuple[str, bytes]] = field(default_factory=list)
    _answers: list[tuple[Part, pl.DataFrame]] = field(default_factory=list)
    _is_withheld: bool = False  # whether candles of options wait for REST

    def route(self, channel: Channel) -> Route:
        """Return where the data of a channel go, and watch how old they are."""
        if channel.kind == "trades":
            self.unheard.hushed(channel.subject)
        handle = self._handles().get(channel.kind, kept)
        newest = self.tickers if channel.kind == "tickers" else None
        return Route(channel, family_of(channel.name), handle, self._source(channel), newest)

    def _handles(self) -> dict[str, Handle]:
        return {
            "candles": self._candle,
            "trades": self._traded,
            "funding": self._stamped,
            "quotes": self._stamped,
            "tickers": self._stamped,
            "index": self._price,
            "dvol": self._stamped,
            "followed": self._followed,
        }

    def _source(self, channel: Channel) -> Source | None:
        told, kind = self.universe.told, channel.kind
        limits = {
            "candles": told.candle_limit,
            "trades": told.trade_limit,
            "funding": told.funding_limit,
            "index": told.index_limit,
            "dvol": told.dvol_limit,
            "tickers": told.ticker_limit,
        }
        if kind not in limits:
            return None
        return self.board.watch(kind, channel.subject, limits[kind], self.clock.now_ms())

    def _candle(self, route: Route, data: msgspec.Raw) -> None:
        bar, name = read_bar(data), route.channel.subject
        self._heard(route, bar.tick, until_ms=bar.tick + MINUTE_MS)
        if name in self.universe.instruments:
            self.candles.take(self.universe.dataset_of(name), name, bar)

    def _heard(self, route: Route, at_ms: int, until_ms: int | None = None) -> None:
        """Take note of data of a moment, which tell of what was until then, or until another.

        Raises
        ------
        msgspec.ValidationError
            If nobody can know of that moment yet: believed, it would hide for as long that what
            comes is old, and be taken for what comes then.
        """
        now_ms = self.clock.now_ms()
        if at_ms > now_ms + AHEAD_MS:
            message = f"they are of {at_ms}, and the exchange's clock says {now_ms}"
            raise msgspec.ValidationError(message)
        if route.source is not None:
            route.source.heard(at_ms if until_ms is None else min(until_ms, now_ms))

    def _traded(self, route: Route, data: msgspec.Raw) -> None:
        stamps = read_stamps(data)
        self._heard(route, max((one.timestamp for one in stamps), default=0))
        self._trades.append((route.channel.subject, bytes(data)))

    def _stamped(self, route: Route, data: msgspec.Raw) -> None:
        self._heard(route, read_stamp(data).timestamp)

    def _price(self, route: Route, data: msgspec.Raw) -> None:
        price = read_price(data)
        self._heard(route, price.timestamp)
        self.minutes.take(route.channel.subject, price)

    def _followed(self, route: Route, data: msgspec.Raw) -> None:
        if route.family == "instrument.creation":
            found = read_one(bytes(data))
            if isinstance(found, Instrument):
                self.listed(found)
            else:
                logger.warning("a new listing is left out: %s: %s", found.name, found.reason)
        elif route.family == "instrument.state":
            said = read_state(data)
            if said.state in ENDED:
                self.ended(said.instrument_name)
        elif (is_down := read_platform(data).maintenance) is not None:
            if is_down and not self.board.maintenance:
                logger.warning("the exchange says that a maintenance begins")
            self.board.maintenance = is_down

    def answered(self, part: Part, rows: pl.DataFrame) -> None:
        """Take rows REST has of a part."""
        self._answers.append((part, rows))

    def hushed(self, channels: Iterable[Channel]) -> None:
        """Forget what was forming on channels that are not heard any more."""
        for channel in channels:
            if channel.kind == "candles":
                self.candles.forget(channel.subject)
            elif channel.kind == "trades":
                self.unheard.hushed(channel.subject, self.clock.now_ms())

    def heard_again(self, channels: Iterable[Channel], at_ms: int) -> None:
        """Take note of channels that are heard from a moment on."""
        for channel in channels:
            if channel.kind == "trades":
                self.unheard.heard_again(channel.subject, at_ms)

    def looked(self, part: Part, until_ms: int) -> None:
        """Take note that REST told all there was of a part until a moment."""
        if part.dataset == TRADES:
            self.unheard.looked(part.name, until_ms)

    def held(self, before_ms: int) -> dict[str, list[str]]:
        """Return the instruments of which there are live rows before a moment, by dataset."""
        is_before = pl.col("timestamp") < _moment(before_ms)
        return {
            name: live.frame.filter(is_before)["instrument"].unique().to_list()
            for name, live in self.live.items()
        }

    def oldest_ms(self) -> int | None:
        """Return the moment of the oldest live row; None where there is none."""
        firsts = [live.frame["timestamp"].dt.epoch("ms").min() for live in self.live.values()]
        return min((int(one) for one in firsts if one is not None), default=None)  # type: ignore[arg-type]

    def gather(self) -> "Gathered":
        """Hand over what came since the last call, for `merge` to make rows of."""
        self.minute_ms = self.clock.now_ms() // MINUTE_MS * MINUTE_MS
        gathered = Gathered(
            self.candles.rows(),
            self.minutes.rows(),
            self._trades,
            self._answers,
            dict(self.unheard.since),
        )
        self._trades, self._answers = [], []
        return gathered

    def merge(self, gathered: "Gathered") -> tuple[dict[str, pl.DataFrame], Counter[str]]:
        """Bring what was gathered into the live rows.

        It may run beside the event loop, once at a time.

        Returns
        -------
        dict of DataFrame
            The rows that are new or other than before, by dataset.
        Counter
            What there is to count on the board.
        """
        counts: Counter[str] = Counter()
        for name, rows in gathered.candles.items():
            self.live[name].add(rows, SOCKET)
        self.live["index_prices"].add(gathered.prices, SOCKET)
        counts["unreadable"] += self._add_trades(gathered.trades)
        for part, rows in gathered.answers:
            self.live[part.dataset].add(rows, ANSWER)
        changed = {}
        for name, live in self.live.items():
            if live.is_dirty:
                merged = live.merge()
                changed[name] = merged.changed
                counts["confirmed"] += merged.confirmed
                counts["revised"] += merged.revised
                counts["filled"] += merged.filled
        if TRADES in changed or self._is_withheld:
            made = self._candles_of_options()
            whole = made.filter(~_is_unheard(made, gathered.unheard))
            self._is_withheld = len(whole) < len(made)
            self.live[CANDLES_OF_OPTIONS].add(whole, SOCKET)
            changed[CANDLES_OF_OPTIONS] = self.live[CANDLES_OF_OPTIONS].merge().changed
        return {name: rows for name, rows in changed.items() if len(rows)}, counts

    def _add_trades(self, trades: list[tuple[str, bytes]]) -> int:
        """Add trades to the live ones, and return how many messages cannot be read."""
        dataset, unreadable = DATASETS[TRADES], 0
        assert isinstance(dataset, Fetched)  # noqa: S101  (for the type checker)
        for currency in dict.fromkeys(currency for currency, _ in trades):
            some = [data for of, data in trades if of == currency]
            pages, odd = _pages(dataset, some)
            for page in pages:
                self.live[TRADES].add(transformed(dataset, page, currency), SOCKET)
            if odd:
                unreadable += len(odd)
                logger.warning("trades of %s that cannot be read are kept: %s", currency, odd[0])
        return unreadable

    def _candles_of_options(self) -> pl.DataFrame:
        """Return the candles of the live trades, of the minutes that are over."""
        from etl.compute.options_ohlcv import COLUMNS, candles_of  # noqa: PLC0415  (numba)

        trades = self.live[TRADES].frame
        table = trades.select(COLUMNS).with_columns(pl.col("instrument").cast(pl.Categorical))
        over = _moment(self.minute_ms)
        made = candles_of(table.to_arrow())
        return made.filter(pl.col("timestamp") < over)


def _moment(ms: int) -> pl.Expr:
    return pl.from_epoch(pl.lit(ms), "ms").cast(pl.Datetime("us", "UTC"))


def _pages(dataset: Fetched, some: list[bytes]) -> tuple[list[pl.DataFrame], list[str]]:
    """Return the trades of some messages, as pages, and why those that cannot be read cannot."""
    inside = [one for data in some if (one := data.strip()[1:-1].strip())]
    body = b'{"result":{"trades":[%s]}}' % b",".join(inside)
    try:
        return [dataset.decode(body)], []
    except UNREADABLE as error:
        if len(some) == 1:
            return [], [str(error)]
    each = [_pages(dataset, [one]) for one in some]  # one that is odd takes no other with it
    return [page for pages, _ in each for page in pages], [why for _, odd in each for why in odd]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came and is not among the rows yet."""

    candles: dict[str, pl.DataFrame]
    prices: pl.DataFrame
    trades: list[tuple[str, bytes]]
    answers: list[tuple[Part, pl.DataFrame]]
    unheard: Mapping[str, int]


def _is_unheard(candles: pl.DataFrame, since_ms: Mapping[str, int]) -> pl.Expr:
    """Whether candles of options may lack trades that were not heard."""
    found = pl.lit(value=False)
    for currency, at_ms in since_ms.items():
        names = candles["instrument"].cast(pl.String).unique()
        mine = [name for name in names if settles_in(name) == currency]
        ends = pl.col("timestamp") + pl.duration(milliseconds=MINUTE_MS)
        is_mine = pl.col("instrument").cast(pl.String).is_in(mine)
        found |= is_mine & (ends > _moment(at_ms))
    return found
