"""Pages of option trades: the check of one, and its rows as they were sent.

Texts of which there are few are categories: a month of trades is held at once when it is folded.
A page that is written plainly is decoded at once. What does not fit is looked at row by row: whole
numbers may come as floats, ids as numbers, members nobody knows yet are kept as JSON. A row that
still does not fit keeps what can be read of it, and says in `refused` what could not.
"""

import json
from collections.abc import Callable
from math import nan
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
import polars as pl

from etl.deribit.numbers import EXACT

KEYS = ("timestamp", "trade_seq", "instrument_name")
Held = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What a column can hold."""


class Trade(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A trade as it is sent; ids may be numbers, and are text here."""

    timestamp: int
    instrument_name: str
    trade_seq: int
    trade_id: str | int
    price: float
    amount: float
    direction: str
    contracts: float | None = None
    tick_direction: int | None = None
    iv: float | None = None
    mark_price: float | None = None
    index_price: float | None = None
    liquidation: str | None = None
    block_trade_id: str | int | None = None
    block_trade_leg_count: int | None = None
    block_rfq_id: str | int | None = None
    combo_id: str | None = None
    combo_trade_id: str | int | None = None
    starbase_match_id: int | None = None
    starbase_timestamp: int | None = None


class _Page(msgspec.Struct):
    trades: list[Trade]
    has_more: Any = False


class _Envelope(msgspec.Struct):
    result: _Page


class _Keyed(msgspec.Struct, gc=False):
    timestamp: Held
    trade_seq: Held
    instrument_name: str


class _KeyedPage(msgspec.Struct):
    trades: list[_Keyed]
    has_more: bool = False


class _LoosePage(msgspec.Struct):
    trades: list[dict[str, Any]]
    has_more: Any = False


class _LooseEnvelope(msgspec.Struct):
    result: _LoosePage


_Loose = TypeVar("_Loose", _LoosePage, _LooseEnvelope)


_FEW = {"instrument_name", "direction", "liquidation", "combo_id"}
_TYPES: dict[str, pl.DataType] = {
    name: pl.Categorical() if name in _FEW
    else pl.Float64() if hint in {float, float | None}
    else pl.Int64() if hint in {int, int | None}
    else pl.String()
    for name, hint in Trade.__annotations__.items()
}  # fmt: skip
_TEXTS = {"other": pl.Categorical(), "refused": pl.Categorical()}
_IDS = {"trade_id", "block_trade_id", "block_rfq_id", "combo_trade_id"}
_MEMBERS = {name: attrgetter(name) for name in _TYPES}
_decode = msgspec.json.Decoder(_Envelope).decode
_decode_keys = msgspec.json.Decoder(_KeyedPage).decode


class Checked(NamedTuple):
    """What a page of trades says of itself: when they were [ms], and whether there are more."""

    moments: list[int]
    has_more: bool


def check(result: msgspec.Raw) -> Checked:
    """Return what a page of trades says; raise where a result is none.

    Raises
    ------
    msgspec.ValidationError
        If it has no list of trades, or one of them no readable moment, instrument or number.
    """
    try:
        page = _decode_keys(result)
    except msgspec.ValidationError:
        loose = _loosely(result, _LoosePage)
        moments = [_Bent(row).keys()["timestamp"] for row in loose.trades]
        return Checked(moments, bool(loose.has_more))
    return Checked([row.timestamp for row in page.trades], page.has_more)


def decode(body: bytes) -> pl.DataFrame:
    """Return the rows of one page as sent, with `timestamp_ms`, `other`, `refused`, `has_more`."""
    try:
        page = _decode(body).result
        columns = [_series(name, list(map(of, page.trades))) for name, of in _MEMBERS.items()]
    except (msgspec.ValidationError, TypeError, OverflowError):  # or a number too large to hold
        return _decode_each(body)
    texts = (pl.lit(None, dtype=dtype).alias(name) for name, dtype in _TEXTS.items())
    return _named(columns).with_columns(*texts, has_more=pl.lit(bool(page.has_more)))


def _named(columns: list[pl.Series]) -> pl.DataFrame:
    return pl.DataFrame(columns).rename({"timestamp": "timestamp_ms"})


def _series(name: str, values: list[Any]) -> pl.Series:
    """Return a column; of an id that comes as a number, its text."""
    if name in _IDS and int in map(type, values):
        values = [value if value is None else str(value) for value in values]
    return pl.Series(name, values, _TYPES[name])


def _loosely(text: bytes | msgspec.Raw, form: type[_Loose]) -> _Loose:
    """Return JSON whose rows may have any members; a number beyond all floats is infinite."""
    try:
        return msgspec.json.decode(text, type=form)
    except msgspec.ValidationError:
        return msgspec.convert(json.loads(bytes(text)), form)


def _decode_each(body: bytes) -> pl.DataFrame:
    page = _loosely(body, _LooseEnvelope).result
    bent = [_Bent(row) for row in page.trades]
    kept = [one.members() for one in bent]
    columns = [
        pl.Series(name, [row[name] for row in kept], dtype) for name, dtype in _TYPES.items()
    ]
    texts = [
        pl.Series("other", [one.other() for one in bent], _TEXTS["other"]),
        pl.Series("refused", [",".join(one.odd) or None for one in bent], _TEXTS["refused"]),
    ]
    return _named([*columns, *texts]).with_columns(has_more=pl.lit(bool(page.has_more)))


class _Bent:
    """A row that is read member by member; `odd` are those that are not what they should be."""

    def __init__(self, row: dict[str, Any]) -> None:
        self._row = row
        self.odd: list[str] = []

    def keys(self) -> dict[str, Any]:
        """Return what tells the trade.

        Raises
        ------
        msgspec.ValidationError
            If it does not tell it.
        """
        found = {name: self._read(name) for name in KEYS}
        for name, value in found.items():
            if value is None:
                message = f"a trade without a {name} that can be read: {self._row.get(name)!r}"
                raise msgspec.ValidationError(message)
        return found

    def members(self) -> dict[str, Any]:
        """Return every member, null where there is none."""
        return {name: self._read(name) for name in _TYPES} | self.keys()

    def other(self) -> str | None:
        """Return the members nobody knows, as JSON."""
        rest = {name: value for name, value in self._row.items() if name not in _TYPES}
        return msgspec.json.encode(rest).decode() if rest else None

    def _read(self, name: str) -> Any:
        value = self._row.get(name)
        if value is None:
            return None
        found, is_odd = _READERS[_TYPES[name]](value, name)
        if is_odd and f"{name}:type" not in self.odd:
            self.odd.append(f"{name}:type")
        return found


def _float(value: Any, _name: str) -> tuple[float | None, bool]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return float(value), not is_number
    except (TypeError, ValueError, OverflowError):
        return nan, True


def _integer(value: Any, _name: str) -> tuple[int | None, bool]:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, False) if abs(value) < 2**63 else (None, True)
    try:
        return _whole(value), not isinstance(value, float)
    except (TypeError, ValueError, OverflowError):
        return None, True


def _text(value: Any, name: str) -> tuple[str | None, bool]:
    if isinstance(value, str):
        return value, False
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if name in _IDS and is_whole and not isinstance(value, bool):
        return str(int(value)), False
    return msgspec.json.encode(value).decode(), True


_READERS: dict[pl.DataType, Callable[[Any, str], tuple[Any, bool]]] = {
    pl.Float64(): _float,
    pl.Int64(): _integer,
    pl.String(): _text,
    pl.Categorical(): _text,
}


def _whole(value: Any) -> int:
    """Return a whole number, in whatever form it came."""
    number = float(value)
    if not number.is_integer() or abs(number) > EXACT:
        message = f"{value!r} is no whole number"
        raise ValueError(message)
    return int(value) if isinstance(value, int) else int(number)
