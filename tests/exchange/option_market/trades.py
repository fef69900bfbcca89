"""Option trades with all that Deribit says of them, as columns.

A price is what the surface says an option is worth, half a spread and a whim, on the grid of
ticks. The implied volatility is the exchange's own: that of the rounded price at the forward
rounded as it is published, and missing where the price is below intrinsic value.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.exchange import noise
from tests.exchange.incidents import milliseconds
from tests.exchange.noise import Bits, Floats
from tests.exchange.option_market.families import FINE_FROM_MS
from tests.exchange.option_market.quotes import Quotes
from tests.exchange.option_market.sessions import BLOCK, COMBO, PLAIN, Session
from tests.exchange.trades import Flags, Ints

RFQS_FROM_MS = milliseconds("2025-03-01")
LIQUIDATIONS = ("", "M", "T", "MT")
_LIQUIDATION_SHARE, _RFQ_SHARE = 0.003, 0.3
_SPREAD = 0.012  # half of it, against the price


@dataclass(frozen=True, slots=True)
class OptionTrades:
    """Trades of one session, by option and trade_seq; all arrays have shape (n,).

    Attributes
    ----------
    at : positions in the session.
    ms, seq, price, amount, contracts, index_price, mark_price : as Deribit has them.
    iv_pct : implied volatility in per cent; NaN where there is none.
    is_buy : whether the taker bought.
    tick_direction : 0 to 3.
    number : what the trade id ends with.
    liquidation : which of `LIQUIDATIONS`.
    kind, group : as in the session, and the number of the combo or block trade; 0 for none.
    legs : block_trade_leg_count; 0 for none.
    rfq : block_rfq_id; 0 for none.
    word : noise that fills of one order share.
    """

    at: Ints
    ms: Ints
    seq: Ints
    price: Floats
    amount: Floats
    contracts: Floats
    index_price: Floats
    mark_price: Floats
    iv_pct: Floats
    is_buy: Flags
    tick_direction: Ints
    number: Ints
    liquidation: Ints
    kind: NDArray[np.int8]
    group: Ints
    legs: Ints
    rfq: Ints
    word: Bits


def option_trades(
    seed: int, session: Session, at: Ints, quotes: Quotes, *, first_number: int
) -> OptionTrades:
    """Return the trades at some positions of a session: all of each option that has one."""
    kind, partner = session.kind[at], session.partner[at]
    word = session.word[session.leader[at]]
    joint = session.word[np.minimum(at, partner)]  # noise that both legs share
    is_buy, draw = sides_and_draws(seed, session, at)
    fair = quotes.value / quotes.unit
    price = _prices(session, at, asked(session, at, fair, is_buy, draw))
    amount, contracts = _sizes(seed, session, at, joint)
    own = noise.bits(noise.key(seed, "options", "own"), session.word[at])
    is_liquid = (kind == PLAIN) & (noise.lane(own, 0) < 65_536 * _LIQUIDATION_SHARE)
    group, legs, rfq = _groups(session, at, joint, first_number)
    return OptionTrades(
        at=at,
        ms=session.ms[at],
        seq=session.seq[at],
        price=price,
        amount=amount,
        contracts=contracts,
        index_price=quotes.index,
        mark_price=np.round(fair, 8),
        iv_pct=np.round(100 * quotes.implied(price), 2),
        is_buy=is_buy,
        tick_direction=_tick_directions(session.who[at], price, own),
        number=first_number + session.place[at],
        liquidation=np.where(is_liquid, 1 + (noise.lane(own, 1) & 3) * 3 // 4, 0),
        kind=kind,
        group=group,
        legs=legs,
        rfq=rfq,
        word=word,
    )


def of_families(session: Session, at: Ints, value: str) -> Floats:
    """Return an attribute of the families of trades."""
    each = [float(getattr(chain.family, value)) for chain in session.living.chains]
    return np.array(each)[session.living.chain[session.who[at]]]


def _sides(kind: NDArray[np.int8], is_second: Flags, draw: Bits) -> Flags:
    """Return whether the taker bought: of a combo one leg, and not the other."""
    buys = noise.lane(draw, 3) < 32_768
    return np.where((kind == COMBO) & is_second, ~buys, buys)


def asked(session: Session, at: Ints, fair: Floats, is_buy: Flags, draw: Bits) -> Floats:
    """Return prices before they are put on their grid [settlement currency]."""
    kind = session.kind[at]
    whim = noise.normal_of_lanes(draw)
    side = np.where(is_buy, 1.0, -1.0)
    half = 0.4 * _smallest(session, at) + _SPREAD * np.abs(fair) * (0.4 + 0.3 * np.abs(whim))
    return np.select(
        [kind == COMBO, kind == BLOCK], [fair, fair * (1 + 0.03 * whim)], fair + side * half
    )


def _prices(session: Session, at: Ints, wanted: Floats) -> Floats:
    """Return prices on their grid [settlement currency]."""
    kind = session.kind[at]
    coin = of_families(session, at, "is_inverse") == 1.0
    block = of_families(session, at, "block_tick_size")
    tick = np.where(kind == PLAIN, _smallest(session, at), block)
    tick = np.where(coin & (kind == PLAIN) & (wanted > 0.005), 0.0005, tick)
    return np.round(np.maximum(np.rint(wanted / tick), 1.0) * tick, 4)


def _smallest(session: Session, at: Ints) -> Floats:
    """Return the smallest price step of options [settlement currency]."""
    listed = session.living.of("creation_ms")[session.who[at]]
    coin = of_families(session, at, "is_inverse") == 1.0
    return np.where(coin & (listed < FINE_FROM_MS), 0.0005, of_families(session, at, "tick_size"))


def sides_and_draws(seed: int, session: Session, at: Ints) -> tuple[Flags, Bits]:
    """Return whether the taker bought, and the noise a price is made of."""
    kind, partner = session.kind[at], session.partner[at]
    word = session.word[session.leader[at]]
    joint = session.word[np.minimum(at, partner)]  # noise that both legs share
    draw = noise.bits(noise.key(seed, "options", "price"), word)
    return _sides(kind, at > partner, np.where(kind == COMBO, joint, draw)), draw


def _sizes(seed: int, session: Session, at: Ints, joint: Bits) -> tuple[Floats, Floats]:
    """Return amounts [coin] and contracts: both legs of a combo are of one size."""
    kind, word = session.kind[at], session.word[at]
    size = noise.normal(noise.key(seed, "options", "size"), np.where(kind == PLAIN, word, joint))
    lots = np.ceil(np.exp(1.2 * size + 0.9))
    lot = of_families(session, at, "lot")
    least = of_families(session, at, "block_least")
    amount = np.where(kind == BLOCK, least * lots, lot * lots)
    amount = np.round(amount, 4)
    return amount, np.round(amount / of_families(session, at, "contract_size"), 4)


def _groups(session: Session, at: Ints, joint: Bits, first: int) -> tuple[Ints, Ints, Ints]:
    """Return the number of the combo or block trade, the legs of a block, and its request."""
    kind, partner = session.kind[at], session.partner[at]
    place = np.minimum(session.place[at], session.place[partner])
    group = np.select([kind == COMBO, kind == BLOCK], [first + place - 1, first + place], 0)
    legs = np.where(kind == BLOCK, np.where(partner == at, 1, 2), 0)
    asked = (kind == BLOCK) & (session.start_ms >= RFQS_FROM_MS)
    asked &= noise.lane(joint, 2) < 65_536 * _RFQ_SHARE
    return group, legs, np.where(asked, (first + place) // 8, 0)


def _tick_directions(who: Ints, price: Floats, own: Bits) -> Ints:
    """Return 0 for a higher price than before, 2 for a lower one, 1 and 3 for none since those.

    What came before the first trade of a day is not looked up: it counts as none.
    """
    moved = np.sign(np.diff(price, prepend=price[:1]))
    begins = np.diff(who, prepend=-1) != 0
    moved = np.where(begins, np.where(noise.lane(own, 2) < 32_768, 1.0, -1.0), moved)
    known = np.maximum.accumulate(np.where(moved != 0, np.arange(len(who)), 0))
    still = (moved == 0) | begins
    return np.where(moved[known] > 0, 0, 2) + still
