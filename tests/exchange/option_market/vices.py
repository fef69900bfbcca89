"""What is wrong with a few options for good, by name; no healthy answer ever follows.

==========  =====================================================================================
restarted   trade_seq begins at 1 again after some trades
two_trades  one trade_seq has two trades, of two prices
late        one trade more, half a minute to a minute after expiry
==========  =====================================================================================

Which options is a hash of their names: one in forty each.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from tests.exchange import noise

if TYPE_CHECKING:
    from tests.exchange.option_market.sent import JsonDay

RESTARTED, TWO_TRADES, LATE = "restarted", "two_trades", "late"
NAMES = (RESTARTED, TWO_TRADES, LATE)
_ONE_IN = 40

Row = dict[str, Any]


def is_met(name: str, vice: str) -> bool:
    """Whether an option is one of those that have a vice."""
    return int(noise.key(0, name, vice)) % _ONE_IN == 0


def at_seq(name: str, vice: str) -> int:
    """Return the trade_seq, 1 to 8, after which an option restarts, or that has two trades."""
    return 1 + int(noise.key(0, name, vice)) // _ONE_IN % 8


def changed(day: "JsonDay", names: frozenset[str], late: list[tuple[int, bytes]]) -> "JsonDay":
    """Return a day's trades with the vices named; `late` are the last trades of expired options."""
    from tests.exchange.option_market.rows import JsonRows  # noqa: PLC0415 - it loads a compiler

    rows = [orjson.loads(row) for row in day.rows.between(0, len(day.ms))]
    numbered = list(zip(day.number.tolist(), rows, strict=True))
    for vice, change in _CHANGES.items():
        if vice in names:
            numbered = [one for number, row in numbered for one in change(number, row)]
    first = numbered[0][0] - 1 if numbered else 0
    numbered += [(first, _late(orjson.loads(row), ms, n)) for n, (ms, row) in enumerate(late)]
    numbered.sort(key=lambda one: one[1]["timestamp"])
    texts = [orjson.dumps(row) for _, row in numbered]
    body = b"".join(text + b"," for text in texts)
    ends = np.cumsum([len(text) + 1 for text in texts], dtype=np.int64)
    columns = np.array(
        [(row["timestamp"], number, row["trade_seq"]) for number, row in numbered], dtype=np.int64
    ).reshape(-1, 3)
    return replace(day, ms=columns[:, 0], number=np.maximum.accumulate(columns[:, 1]),
                   seq=columns[:, 2], rows=JsonRows(body, ends))  # fmt: skip


def _restarted(number: int, row: Row) -> list[tuple[int, Row]]:
    name, seq = row["instrument_name"], row["trade_seq"]
    begins = at_seq(name, RESTARTED)
    if is_met(name, RESTARTED) and seq > begins:
        row = row | {"trade_seq": seq - begins}
    return [(number, row)]


def _doubled(number: int, row: Row) -> list[tuple[int, Row]]:
    name = row["instrument_name"]
    if not is_met(name, TWO_TRADES) or row["trade_seq"] != at_seq(name, TWO_TRADES):
        return [(number, row)]
    again = {"price": round(row["price"] * 2, 4), "trade_id": f"{row['trade_id']}000"}
    return [(number, row), (number, row | again)]


def _late(row: Row, expiration_ms: int, nth: int) -> Row:
    after = 30_000 + int(noise.key(0, row["instrument_name"], LATE)) // _ONE_IN % 30_000
    more = {"trade_seq": row["trade_seq"] + 1, "trade_id": f"{row['trade_id']}{nth:03}"}
    return row | more | {"timestamp": expiration_ms + after}


_CHANGES: dict[str, Callable[[int, Row], list[tuple[int, Row]]]] = {
    RESTARTED: _restarted,
    TWO_TRADES: _doubled,
}
