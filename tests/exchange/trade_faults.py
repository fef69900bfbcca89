"""What goes wrong with pages of trades on purpose, by name, beside what befalls all pages.

==============  ===================================================================================
inversions      hundreds of neighbours have changed places
beyond          rows beyond the range and rows lacking in it: it was moved by a few
has_more        `has_more` says the opposite
other_currency  the page is that of another currency
texts           the numbers of some rows are texts
==============  ===================================================================================

All are part of ``all``: a request is healthy from its fourth time on.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from tests.exchange.option_market.pages import split

if TYPE_CHECKING:
    from tests.exchange.faults import Fault

NAMES = ("inversions", "beyond", "has_more", "other_currency", "texts")
METHODS = tuple(
    f"public/get_last_trades_by_{words}"
    for words in ("currency", "currency_and_time", "instrument", "instrument_and_time")
)
ASKING = ("beyond", "other_currency")
"""Those that answer another question than was asked."""
_OTHER = {"BTC": "ETH", "ETH": "BTC", "USDC": "BTC", "SOL": "USDC"}
_NUMBERS = ("price", "amount", "trade_seq", "timestamp", "iv")
_INVERSIONS = 400

Rows = list[bytes]


def can_meet(name: str, method: str) -> bool:
    """Whether a method can meet one of these faults: another currency only where one is named."""
    return method in METHODS and (name != "other_currency" or "currency" in method)


def asked_instead(fault: "Fault", params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are answered in place of those asked."""
    if fault.name == "other_currency":
        return {**params, "currency": _OTHER.get(str(params["currency"]), "BTC")}
    few = (1 + fault.draw(4, part=1)) * (1 if fault.draw(2) else -1)
    return moved(params, seqs=few, ms=few * (1 + fault.draw(900, part=2)))


def moved(params: Mapping[str, Any], *, seqs: int, ms: int) -> dict[str, Any]:
    """Return parameters with their ranges moved, whichever they have."""
    steps = {"start_seq": seqs, "end_seq": seqs, "start_timestamp": ms, "end_timestamp": ms}
    return {
        name: int(value) + steps[name] if name in steps else value for name, value in params.items()
    }


def damage(fault: "Fault", result: dict[str, Any]) -> dict[str, Any]:
    """Return a page of trades as a fault leaves it."""
    if fault.name == "has_more":
        return result | {"has_more": not result["has_more"]}
    rows = split(result["trades"])
    change = _CHANGES.get(fault.name)
    if change is None:
        changed = [rows[row] for row in fault.rows(len(rows)).tolist()]
    else:
        changed = change(fault, rows)
    return result | {"trades": changed}


def _inverted(fault: "Fault", rows: Rows) -> Rows:
    """Return rows in which up to some hundred neighbours have changed places."""
    changed = list(rows)
    step = 2 + max(len(rows) // _INVERSIONS, fault.draw(3))
    for row in range(fault.draw(step, part=1), len(rows) - 1, step):
        changed[row], changed[row + 1] = changed[row + 1], changed[row]
    return changed


def _as_texts(fault: "Fault", rows: Rows) -> Rows:
    step = 3 + fault.draw(20)
    return [_text(row) if number % step == 0 else row for number, row in enumerate(rows)]


def _text(row: bytes) -> bytes:
    trade = orjson.loads(row)
    return orjson.dumps(trade | {name: str(trade[name]) for name in _NUMBERS if name in trade})


_CHANGES: dict[str, Callable[["Fault", Rows], Rows]] = {
    "inversions": _inverted,
    "texts": _as_texts,
}
