"""The grammar of Deribit's instrument names: what a name says, and the name of what is said.

======================================  =========================================================
``BTC-PERPETUAL``, ``SOL_USDC-PERPETUAL``  perpetual; with a counter currency it is linear
``BTC-3JAN25``, ``BTC_USDC-27DEC24``    dated future; the day has no leading zero
``BTC-27DEC24-100000-C``                option; ``XRP_USDC-30JUN23-0d625-C`` has strike 0.625
``BTC_USDC``                            spot
``BTC-FS-27DEC24_PERP``                 combo of futures: the far leg, then the near one
``BTC-CS-19MAY26-70000_75000``          combo of options: strategy, expiries, strikes
======================================  =========================================================

A name tells the day of expiry; the time is taken as 08:00 UTC, as of nearly all. When it expires to
the minute (BTC-15JUL16 did at 15:00) and what it is worth (contract size, settlement) its record
says, never its name.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Literal

import polars as pl

from etl.errors import UsageError

Kind = Literal["perpetual", "future", "option", "spot", "future_combo", "option_combo", "index"]
PERPETUAL_LEG = "PERP"
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

# Until August 2016 what expired did so at 15:00 UTC, some of it at least.
EARLY_MS, EARLY_MORE_MS = 1_470_009_600_000, 7 * 3_600_000

_DAY = rf"[1-9]\d?(?:{'|'.join(MONTHS)})\d\d"
_STRIKE = r"(?:0|[1-9]\d*)(?:d\d+)?"
_LEG = rf"(?:{_DAY}|{PERPETUAL_LEG})"
_GRAMMAR = (
    r"^(?P<base>[A-Z0-9]+)(?:_(?P<counter>[A-Z0-9]+))?"
    rf"(?:(?P<perpetual>-PERPETUAL)"
    rf"|-(?P<expiry>{_DAY})(?:-(?P<strike>{_STRIKE})-(?P<side>[CP]))?"
    rf"|-(?P<strategy>[A-Z]+\d*)-(?P<legs>{_LEG}(?:_{_LEG})*)(?:-(?P<strikes>{_STRIKE}(?:_{_STRIKE})*))?"
    r"|-COMBO-(?P<number>0|[1-9]\d*))?$"
)
_NAME = re.compile(_GRAMMAR, re.ASCII)
_EXPECTED = "expected e.g. BTC-PERPETUAL, BTC-27DEC24, BTC-27DEC24-100000-C or BTC_USDC"


@dataclass(frozen=True, slots=True)
class Name:
    """What a name says; members that do not apply are None or empty.

    `expiries` and `strikes` are of combos, in the order of the name; a perpetual leg is None.
    """

    kind: Kind
    base: str
    counter: str | None = None
    expiry: datetime | None = None
    strike: Decimal | None = None
    option_type: Literal["call", "put"] | None = None
    strategy: str | None = None
    expiries: tuple[datetime | None, ...] = ()
    strikes: tuple[Decimal, ...] = ()
    number: int | None = None

    @property
    def family(self) -> str:
        """What comes before the first hyphen: BTC, or BTC_USDC for what is linear."""
        return self.base if self.counter is None else f"{self.base}_{self.counter}"

    @property
    def settles_in(self) -> str:
        """What it settles in, where its record is not at hand: counter currency, else base."""
        return self.counter or self.base

    def __str__(self) -> str:
        """Return the name as Deribit writes it."""
        family = self.family
        match self.kind:
            case "perpetual":
                return f"{family}-PERPETUAL"
            case "spot":
                return family
            case "future":
                return f"{family}-{_day(self.expiry)}"
            case "option":
                side = "C" if self.option_type == "call" else "P"
                return f"{family}-{_day(self.expiry)}-{_strike(self.strike)}-{side}"
        if self.number is not None:
            return f"{family}-COMBO-{self.number}"
        legs = "_".join(_day(expiry) for expiry in self.expiries)
        strikes = "_".join(_strike(strike) for strike in self.strikes)
        return f"{family}-{self.strategy}-{legs}" + (f"-{strikes}" if strikes else "")


def parse_name(text: str) -> Name:
    """Return what an instrument's name says; ``str`` of it is the name again.

    Raises
    ------
    UsageError
        If it is no name of an instrument.
    """
    found = _NAME.fullmatch(text)
    if found is None or found["base"] == text:
        message = f"{text!r} is no instrument name: {_EXPECTED}"
        raise UsageError(message)
    try:
        return _read(found)
    except ValueError:
        message = f"{text!r} names a day that does not exist: {_EXPECTED}"
        raise UsageError(message) from None


def family_of(text: str) -> str:
    """Return what comes before the first hyphen of a name: BTC, or BTC_USDC for what is linear.

    Raises
    ------
    UsageError
        If it is no name of an instrument.
    """
    return parse_name(text).family


def settlement_of(text: str) -> str:
    """Return the currency an instrument settles in, by its name.

    Raises
    ------
    UsageError
        If it is no name of an instrument.
    """
    return parse_name(text).settles_in


def settlement_of_family(family: str) -> str:
    """Return the currency a family's instruments settle in: BTC of BTC, USDC of BTC_USDC.

    Raises
    ------
    UsageError
        If it is no family.
    """
    return settlement_of(f"{family}-PERPETUAL")


def settles_in(text: str) -> str | None:
    """Return what an instrument, or what follows an index, settles in by its name, if it says so.

    USDC of ``DOGE_USDC-PERPETUAL`` and of ``doge_usdc``, BTC of ``BTC-27DEC24`` and of ``btc_usd``.
    """
    try:
        return parse_name(text).settles_in
    except UsageError:
        base, _, counter = text.partition("_")
        is_index = text.islower() and base.isalnum() and counter.isalnum()
        return (base if counter == "usd" else counter).upper() if is_index else None


def kind_by_name(text: str) -> Kind:
    """Return what a name says its bearer is; what is no name of an instrument names an index."""
    try:
        return parse_name(text).kind
    except UsageError:
        return "index"


def with_name_parts(frame: pl.DataFrame, column: str = "instrument") -> pl.DataFrame:
    """Add what names say to a frame, without a loop over its rows.

    Adds `name_kind`, `base`, `counter`, `expiry` (UTC), `strike` (float64) and `option_type`; all
    of them are null where a name does not follow the grammar, or names a day that does not exist.
    """
    parts = pl.col(column).str.extract_groups(_GRAMMAR)
    groups = frame.select(parts.alias("parts")).unnest("parts")
    has = {name: pl.col(name).is_not_null() for name in groups.columns}
    kind = (
        pl.when(~has["base"]).then(None)
        .when(has["perpetual"]).then(pl.lit("perpetual"))
        .when(has["strike"]).then(pl.lit("option"))
        .when(has["expiry"]).then(pl.lit("future"))
        .when(pl.col("strategy") == "FS").then(pl.lit("future_combo"))
        .when(has["strategy"] | has["number"]).then(pl.lit("option_combo"))
        .when(has["counter"]).then(pl.lit("spot"))
    )  # fmt: skip
    day = pl.col("expiry").str.to_titlecase().str.replace(r"(\d\d)$", "20$1").str.pad_start(9, "0")
    moment = day.str.to_date("%d%b%Y", strict=False).cast(pl.Datetime("us", "UTC"))
    option_type = pl.col("side").replace_strict({"C": "call", "P": "put"}, default=None)
    said = groups.select(
        kind.alias("name_kind"),
        "base",
        "counter",
        moment.dt.offset_by("8h").alias("expiry"),
        pl.col("strike").str.replace("d", ".", literal=True).cast(pl.Float64),
        option_type.alias("option_type"),
    )
    is_name = pl.col("name_kind").is_not_null() & (
        pl.col("expiry").is_not_null() | ~pl.col("name_kind").is_in(["future", "option"])
    )
    return frame.hstack(said.select(pl.when(is_name).then(pl.all())))


def _read(found: re.Match[str]) -> Name:
    base, counter = found["base"], found["counter"]
    if found["perpetual"]:
        return Name("perpetual", base, counter)
    if found["strike"]:
        side: Literal["call", "put"] = "call" if found["side"] == "C" else "put"
        return Name(
            "option", base, counter, _moment(found["expiry"]), _number(found["strike"]), side
        )
    if found["expiry"]:
        return Name("future", base, counter, _moment(found["expiry"]))
    if found["number"]:
        return Name("option_combo", base, counter, number=int(found["number"]))
    if found["strategy"]:
        legs = tuple(
            None if leg == PERPETUAL_LEG else _moment(leg) for leg in found["legs"].split("_")
        )
        strikes = tuple(_number(each) for each in (found["strikes"] or "").split("_") if each)
        kind: Kind = "future_combo" if found["strategy"] == "FS" else "option_combo"
        return Name(kind, base, counter, strategy=found["strategy"], expiries=legs, strikes=strikes)
    return Name("spot", base, counter)


def _moment(text: str) -> datetime:
    month = MONTHS.index(text[-5:-2]) + 1
    day = date(2000 + int(text[-2:]), month, int(text[:-5]))
    return datetime.combine(day, time(8), UTC)


def _number(text: str) -> Decimal:
    return Decimal(text.replace("d", "."))


def _day(expiry: datetime | None) -> str:
    if expiry is None:
        return PERPETUAL_LEG
    return f"{expiry.day}{MONTHS[expiry.month - 1]}{expiry.year % 100:02}"


def _strike(strike: Decimal | None) -> str:
    return f"{strike:f}".replace(".", "d")
