"""The trades of a currency on one exchange day, before they have a price: whose, when, which order.

Several things join trades: fills of one order follow each other in one millisecond; two legs of a
combo, and of some block trades, are trades of two options of an expiry at one moment.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.exchange import incidents, noise
from tests.exchange.incidents import milliseconds
from tests.exchange.noise import Bits
from tests.exchange.option_market.chain import Chain
from tests.exchange.option_market.underlying import DAY_MS, MINUTE_MS
from tests.exchange.path import EPOCH_MS
from tests.exchange.trades import Flags, Ints

PLAIN, COMBO, BLOCK = 0, 1, 2
COMBOS_FROM_MS, BLOCKS_FROM_MS = milliseconds("2021-06-01"), milliseconds("2019-06-01")
_COMBO_SHARE, _BLOCK_SHARE, _FILL_SHARE = 0.05, 0.025, 0.2
_PAUSE_MS = 5_000  # nothing trades just after the settlement at 08:00


@dataclass(frozen=True, slots=True)
class Living:
    """The options that trade on a day, family by family; all arrays have shape (m,).

    `base` is the trade_seq before the first trade of the day, `count` the number of trades.
    """

    chains: tuple[Chain, ...]
    chain: NDArray[np.int8]
    row: Ints
    number: Ints
    base: Ints
    count: Ints

    def of(self, name: str) -> Ints:
        """Return a column of the chains, as `strike`, at the options."""
        parts = [getattr(one, name)[self.row[self.chain == n]] for n, one in enumerate(self.chains)]
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class Session:
    """A day's trades by option and trade_seq; all arrays but `order` and `first` as `who`.

    Attributes
    ----------
    who : which of the options that trade on the day.
    ms : Unix milliseconds.
    seq : trade_seq.
    kind : `PLAIN`, `COMBO` or `BLOCK`.
    leader : position of the first fill of the same order; its own for what is no later fill.
    partner : position of the other leg; its own where there is none.
    word : 64 bits of noise of each trade.
    order : positions in order of time.
    place : number of each trade among those of the day, from 1, with a gap before each combo.
    first : where each option begins, shape (m + 1,).
    """

    living: Living
    start_ms: int
    who: Ints
    ms: Ints
    seq: Ints
    kind: NDArray[np.int8]
    leader: Ints
    partner: Ints
    word: Bits
    order: Ints
    place: Ints
    first: Ints

    @property
    def size(self) -> int:
        """How many bytes it takes, about."""
        return 1_000 + 75 * len(self.who) + 50 * len(self.living.row)


def session_of(seed: int, living: Living, day: int) -> Session:
    """Return the trades of a day."""
    start_ms = EPOCH_MS + day * DAY_MS
    who = np.repeat(np.arange(len(living.count)), living.count)
    first = np.concatenate([[0], np.cumsum(living.count)])
    nth = np.arange(len(who)) - first[who]
    counter = ((living.number << 32) + living.base)[who] + nth + 1
    word = noise.bits(noise.key(seed, "options", "trade"), counter.view(np.uint64))
    ms = _times(noise.uniform(noise.key(seed, "options", "time"), counter.view(np.uint64)),
                living, who, start_ms)  # fmt: skip
    kind, partner = _joined(living, who, word, start_ms)
    ms = np.maximum(ms, ms[partner])  # both legs at once
    sort = _stable_order((who << 27) + (ms - start_ms))
    back = np.empty_like(sort)
    back[sort] = np.arange(len(sort))
    ms, kind, word, partner = ms[sort], kind[sort], word[sort], back[partner[sort]]
    leader = _leaders(who, kind, word)
    ms = ms[leader]
    order = _stable_order(ms - start_ms)
    return Session(
        living, start_ms, who, ms, living.base[who] + nth + 1, kind, leader, partner, word,
        order, _places(order, kind, partner), first,
    )  # fmt: skip


def _stable_order(key: Ints) -> Ints:
    """Return what sorts keys below 2**43, equal ones as they come; argsort takes much longer."""
    return np.sort((key << 20) + np.arange(len(key))) & 0xFFFFF


def _times(share: noise.Floats, living: Living, who: Ints, start_ms: int) -> Ints:
    """Return when trades happen: while their options live, and not during an outage."""
    begin = np.maximum(living.of("creation_ms") + 1_000, start_ms + _PAUSE_MS)
    end = np.minimum(living.of("expiration_ms"), start_ms + DAY_MS)
    silent = _silences(start_ms)
    lost = np.zeros_like(begin)
    for since, until in silent:
        lost += np.maximum(np.minimum(end, until) - np.maximum(begin, since), 0)
    ms = begin[who] + (share * np.maximum(end - begin - lost, 1)[who]).astype(np.int64)
    for since, until in silent:
        ms += np.where(ms >= since, np.maximum(until - np.maximum(begin, since), 0)[who], 0)
    return np.minimum(ms, end[who] - 1)


def _silences(start_ms: int) -> list[tuple[int, int]]:
    """Return the stretches of a day in which nothing trades [Unix ms]."""
    minutes = start_ms // MINUTE_MS + np.arange(DAY_MS // MINUTE_MS, dtype=np.int64)
    edges = np.diff(incidents.is_silent(minutes).astype(np.int8), prepend=0, append=0)
    stretches = zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True)
    return [(start_ms + int(a) * MINUTE_MS, start_ms + int(b) * MINUTE_MS) for a, b in stretches]


def _joined(living: Living, who: Ints, word: Bits, start_ms: int) -> tuple[NDArray[np.int8], Ints]:
    """Return the kind of each trade, and the position of the other leg."""
    draw = noise.lane(word, 0)
    combo = 65_536 * _COMBO_SHARE * (start_ms >= COMBOS_FROM_MS)
    block = 65_536 * _BLOCK_SHARE * (start_ms >= BLOCKS_FROM_MS)
    kind = np.full(len(who), PLAIN, dtype=np.int8)
    partner = np.arange(len(who))
    near, far = _pairs(living, who, word, draw < combo)
    kind[near] = kind[far] = COMBO
    partner[near], partner[far] = far, near
    is_block = (draw >= combo) & (draw < combo + block)
    kind[is_block] = BLOCK
    near, far = _pairs(living, who, word, is_block & (noise.lane(word, 1) < 40_000))
    partner[near], partner[far] = far, near
    return kind, partner


def _pairs(living: Living, who: Ints, word: Bits, chosen: Flags) -> tuple[Ints, Ints]:
    """Return trades of two options of an expiry, side by side."""
    rows = np.flatnonzero(chosen)
    expiry = (living.of("expiry") + (living.chain.astype(np.int64) << 20))[who[rows]]
    mixed = (word[rows] >> np.uint64(32)).astype(np.int64)
    rows = rows[np.argsort((expiry << 32) + mixed, kind="stable")]
    near, far = rows[: len(rows) // 2 * 2 : 2], rows[1::2]
    options = living.of("expiry")
    fits = (who[near] != who[far]) & (living.chain[who[near]] == living.chain[who[far]])
    fits &= options[who[near]] == options[who[far]]
    return near[fits], far[fits]


def _leaders(who: Ints, kind: NDArray[np.int8], word: Bits) -> Ints:
    """Return of each trade the first fill of its order."""
    plain = kind == PLAIN
    follows = np.zeros(len(who), dtype=bool)
    follows[1:] = plain[1:] & plain[:-1] & (who[1:] == who[:-1])
    follows &= noise.lane(word, 1) < 65_536 * _FILL_SHARE
    return np.maximum.accumulate(np.where(follows, 0, np.arange(len(who))))


def _places(order: Ints, kind: NDArray[np.int8], partner: Ints) -> Ints:
    """Return the number of each trade on its day: a combo itself comes before its first leg."""
    nth = np.empty_like(order)
    nth[order] = np.arange(len(order))
    leads = (kind == COMBO) & (nth < nth[partner])
    place = np.empty_like(order)
    place[order] = 1 + np.arange(len(order)) + np.cumsum(leads[order])
    return place
