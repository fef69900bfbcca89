"""Option trades as frames with Deribit's own names: null where a trade lacks a member."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tests.exchange.incidents import milliseconds
from tests.exchange.option_market.sessions import BLOCK, COMBO, PLAIN, Session
from tests.exchange.option_market.trades import LIQUIDATIONS, OptionTrades
from tests.exchange.trades import Flags, Ints

CONTRACTS_FROM_MS = MARKS_FROM_MS = milliseconds("2018-01-01")
BLOCK_WORDS_FROM_MS = milliseconds("2023-06-01")
STARBASE_FROM_MS = milliseconds("2026-07-21")
_MATCHES_FROM_MS = milliseconds("2025-01-01") - 905  # as two recorded ids have it

SCHEMA = {
    "timestamp": pl.Int64, "iv": pl.Float64, "price": pl.Float64, "amount": pl.Float64,
    "direction": pl.String, "index_price": pl.Float64, "instrument_name": pl.String,
    "trade_seq": pl.Int64, "mark_price": pl.Float64, "tick_direction": pl.Int64,
    "trade_id": pl.String, "contracts": pl.Float64, "liquidation": pl.String,
    "combo_id": pl.String, "combo_trade_id": pl.String, "block_trade_id": pl.String,
    "block_trade_leg_count": pl.Int64, "block_rfq_id": pl.Int64, "starbase_match_id": pl.Int64,
    "starbase_timestamp": pl.Int64,
}  # fmt: skip


def frame_of(session: Session, trades: OptionTrades) -> pl.DataFrame:
    """Return trades with all their members, in the order they come in."""
    who = session.who[trades.at]
    has_contracts = trades.ms >= CONTRACTS_FROM_MS
    names = pl.Series(names_of(session), dtype=pl.String)
    prefixes = pl.Series(prefixes_of(session), dtype=pl.String)
    usual = pl.DataFrame(
        {
            "timestamp": trades.ms,
            "iv": pl.Series(trades.iv_pct, nan_to_null=True),
            "price": trades.price,
            "amount": trades.amount,
            "direction": pl.Series(["sell", "buy"]).gather(trades.is_buy.astype(np.uint32)),
            "index_price": trades.index_price,
            "instrument_name": names.gather(who),
            "trade_seq": trades.seq,
            "mark_price": _where(has_contracts, trades.mark_price),
            "tick_direction": trades.tick_direction,
            "trade_id": _ids(prefixes.gather(who), trades.number),
            "contracts": _where(has_contracts, trades.contracts),
        }
    )
    special = _special_rows(trades)
    place = np.full(len(who), len(special))
    place[special] = np.arange(len(special))
    rest = _special(session, trades, special, prefixes.gather(who[special]))
    rest = pl.concat([rest, pl.DataFrame({name: [None] for name in rest.columns}, rest.schema)])
    stamps = _stamps(trades)
    return (
        pl.concat([usual, rest[place], stamps], how="horizontal")
        .select(list(SCHEMA))
        .cast(dict(SCHEMA))
    )


def further_members(session: Session, trades: OptionTrades) -> list[str]:
    """Return the JSON of the members that only some trades have, with a comma before each."""
    texts = [""] * len(trades.at)
    rows = _special_rows(trades)
    prefixes = prefixes_of(session)
    names = combo_names(session, trades.at[rows])
    word = "BLOCK-" if session.start_ms >= BLOCK_WORDS_FROM_MS else ""
    columns = (rows, session.who[trades.at[rows]], trades.group[rows], trades.legs[rows],
               trades.rfq[rows], trades.liquidation[rows])  # fmt: skip
    for name, row, who, group, legs, rfq, mark in zip(
        names, *(column.tolist() for column in columns), strict=True
    ):
        if name:
            number = f"{prefixes[who]}{group}"
            texts[row] = f',"combo_id":"{name}","combo_trade_id":"{number}"'
        elif legs:
            asked = f',"block_rfq_id":{rfq}' if rfq else ""
            ids = f'"block_trade_id":"{word}{group}","block_trade_leg_count":{legs}'
            texts[row] = f",{ids}{asked}"
        else:
            texts[row] = f',"liquidation":"{LIQUIDATIONS[mark]}"'
    later = np.flatnonzero(trades.ms >= STARBASE_FROM_MS)
    if len(later):
        stamps = _stamps(trades)[later]
        for row, (match, ns) in zip(later.tolist(), stamps.iter_rows(), strict=True):
            texts[row] += f',"starbase_match_id":{match},"starbase_timestamp":{ns}'
    return texts


def _special_rows(trades: OptionTrades) -> Ints:
    """Return which trades are of a liquidation, a combo or a block."""
    return np.flatnonzero((trades.liquidation > 0) | (trades.kind != PLAIN))


def _special(
    session: Session, trades: OptionTrades, rows: Ints, prefixes: pl.Series
) -> pl.DataFrame:
    """Return the members that few trades have, of those."""
    kind, group = trades.kind[rows], trades.group[rows]
    is_block = kind == BLOCK
    word = "BLOCK-" if session.start_ms >= BLOCK_WORDS_FROM_MS else ""
    marks = pl.Series([None, *LIQUIDATIONS[1:]], dtype=pl.String)
    return pl.DataFrame(
        {
            "liquidation": marks.gather(trades.liquidation[rows]),
            "combo_id": combo_names(session, trades.at[rows]),
            "combo_trade_id": _where(kind == COMBO, _ids(prefixes, group)),
            "block_trade_id": _where(is_block, _ids(pl.repeat(word, len(rows), eager=True), group)),
            "block_trade_leg_count": _where(is_block, trades.legs[rows]),
            "block_rfq_id": _where(trades.rfq[rows] > 0, trades.rfq[rows]),
        },
        schema_overrides={"combo_id": pl.String},
    )


def _stamps(trades: OptionTrades) -> pl.DataFrame:
    """Return what the new matching engine says, from its first day on."""
    names, there = ("starbase_match_id", "starbase_timestamp"), trades.ms >= STARBASE_FROM_MS
    if not there.any():
        nothing = pl.repeat(None, len(there), dtype=pl.Int64, eager=True)
        return pl.DataFrame(dict.fromkeys(names, nothing))
    match = ((trades.ms - _MATCHES_FROM_MS) << 22) + (trades.number & 0x3FFFFF)
    ns = trades.ms * 1_000_000 + (trades.word % np.uint64(1_000_000)).astype(np.int64)
    return pl.DataFrame(
        {name: _where(there, one) for name, one in zip(names, (match, ns), strict=True)}
    )


def _where(there: Flags, values: NDArray[np.generic] | pl.Series) -> pl.Series:
    """Return values where they are there, null elsewhere."""
    column = pl.Series(values)
    return column if there.all() else column.set(pl.Series(~there), None)


def _ids(prefixes: pl.Series, numbers: Ints) -> pl.Series:
    return prefixes + pl.Series(numbers).cast(pl.String)


def names_of(session: Session) -> list[str]:
    """Return the names of the options that trade in a session."""
    living = session.living
    pairs = zip(living.chain.tolist(), living.row.tolist(), strict=True)
    return [living.chains[chain].names[row] for chain, row in pairs]


def prefixes_of(session: Session) -> list[str]:
    """Return what their trade ids begin with."""
    each = [chain.family.trade_prefix for chain in session.living.chains]
    return [each[chain] for chain in session.living.chain.tolist()]


def combo_names(session: Session, near: Ints) -> list[str | None]:
    """Return the names of combos of two options, as ``BTC-CS-19MAY26-70000_75000``."""
    living, far = session.living, session.partner[near]
    columns = (session.kind[near], living.chain[session.who[near]],
               living.row[session.who[near]], living.row[session.who[far]])  # fmt: skip
    return [
        combo_name(*sorted((living.chains[chain].names[one], living.chains[chain].names[other])))
        if kind == COMBO
        else None
        for kind, chain, one, other in zip(*(each.tolist() for each in columns), strict=True)
    ]


def combo_name(one: str, other: str) -> str:
    """Return the name of a combo of two options of an expiry."""
    family, day, low, side = one.split("-")
    _, _, high, other_side = other.split("-")
    if low == high:
        return f"{family}-STRD-{day}-{low}"
    if float(low.replace("d", ".")) > float(high.replace("d", ".")):
        low, high = high, low
    word = "STRG" if side != other_side else "CS" if side == "C" else "PS"
    return f"{family}-{word}-{day}-{low}_{high}"
