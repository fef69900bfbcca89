"""Answers that look whole and are not true.

==========  =====================================================================================
silent      no rows at all, as an exchange in trouble sends
relabelled  the rows of the window, each some bars later or earlier than it is
misfiled    the rows of a window some bars away, as if they were those asked for
off_grid    each row some seconds late
twice       some rows a second time, with other values
clock       the answer says that it was sent a year ago, or in a year
==========  =====================================================================================
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from tests.exchange.option_market.pages import split

NAMES = ("silent", "relabelled", "misfiled", "off_grid", "twice", "clock")
YEAR_US = 365 * 86_400_000_000
LATE_MS = 7_000


def tell(name: str, result: Any, *, moved_ms: int, rows: "np.ndarray[Any, Any]") -> Any:
    """Return a page as a lie tells it; `rows` are those that come twice."""
    if isinstance(result, dict) and "trades" in result:
        trades = [orjson.loads(row) for row in split(result["trades"])]
        told = tell(name, trades, moved_ms=moved_ms, rows=rows)
        return result | {"trades": [orjson.dumps(row) for row in told]}
    if name == "silent":
        return _empty(result)
    if name in {"relabelled", "misfiled"}:
        return _moved(result, lambda ms: ms + moved_ms)
    if name == "off_grid":
        return _moved(result, lambda ms: ms + LATE_MS)
    return _again(result, rows) if name == "twice" else result


def _empty(result: Any) -> Any:
    if isinstance(result, list):
        return []
    if "data" in result:
        return result | {"data": []}
    return {name: [] for name in result if name != "status"} | {"status": "no_data"}


def _moved(result: Any, move: Callable[[Any], Any]) -> Any:
    if isinstance(result, list):
        return [
            row | {"timestamp": move(row["timestamp"])}
            if isinstance(row, dict)
            else [move(row[0]), *row[1:]]
            for row in result
        ]
    if "data" in result:
        return result | {"data": _moved(result["data"], move)}
    return result | {"ticks": move(np.asarray(result["ticks"]))}


def _again(result: Any, rows: "np.ndarray[Any, Any]") -> Any:
    if isinstance(result, list):
        picked = [result[row] for row in rows if row < len(result)]
        return [*result, *map(_other, picked)]
    if "data" in result:
        return result | {"data": _again(result["data"], rows)}
    kept = rows[rows < len(result["ticks"])]
    doubled = {"volume", "cost"}
    return {
        name: np.concatenate([column, column[kept] * (2 if name in doubled else 1)])
        if isinstance(column, np.ndarray)
        else column
        for name, column in result.items()
    }


def _other(row: Any) -> Any:
    if isinstance(row, dict) and "price" in row:
        return row | {"price": round(row["price"] * 2, 4)}
    if isinstance(row, dict):
        return row | {"interest_8h": row["interest_8h"] + 0.001}
    return [row[0], *row[1:4], row[1]]
