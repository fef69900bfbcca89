"""The price grid of an instrument as valid at the time: read the reviewed file, apply it."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import polars as pl

from validators.errors import ReviewedFileError

REVIEWED = Path(__file__).with_name("tick_sizes.toml")
UNKNOWN = "unknown"
BEGINNING, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class TickSize:
    """The tick of an instrument, or of several, during [start, end), UTC.

    Attributes
    ----------
    instrument : str
        Deribit's name of it; a `*` stands for anything.
    tick : float, optional
        Distance between neighbouring prices [quote]; None where it is not known.
    source : str
        Where that is known from.
    start, end : datetime, optional
        None where the tick holds from the listing on, or until today.
    """

    instrument: str
    tick: float | None
    source: str
    start: datetime | None = None
    end: datetime | None = None

    def is_of(self, instrument: str) -> bool:
        """Whether it says something of an instrument."""
        return fnmatchcase(instrument, self.instrument)


def load_tick_sizes(path: Path = REVIEWED) -> tuple[TickSize, ...]:
    """Return the reviewed tick sizes.

    Raises
    ------
    ReviewedFileError
        The file cannot be read, or an entry is not one of a tick size.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["tick_size"]
        return tuple(_tick_size(entry, path) for entry in entries)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
        message = f"{path}: cannot be read as a list of tick sizes: {error!r}"
        raise ReviewedFileError(message) from error


def tick_at(instrument: str, tick_sizes: Iterable[TickSize], *, default: float | None) -> pl.Expr:
    """Return the tick of an instrument at `timestamp` [quote], as an expression.

    Parameters
    ----------
    instrument : str
        Deribit's name of it.
    tick_sizes : iterable of TickSize
        The reviewed ones; of two that hold the later one does, and one that is not known makes
        null.
    default : float, optional
        The tick of the instrument record [quote], for times not reviewed; None makes null there.
    """
    tick = pl.lit(default, dtype=pl.Float64)
    for reviewed in tick_sizes:
        if reviewed.is_of(instrument):
            then = pl.lit(reviewed.tick, dtype=pl.Float64)
            tick = pl.when(_is_during(reviewed)).then(then).otherwise(tick)
    return tick.alias("tick")


def tick_spans(
    instrument: str, tick_sizes: Iterable[TickSize], *, default: float | None
) -> list[tuple[datetime, datetime, float | None]]:
    """Return the ticks of an instrument [quote] as spans [start, end) that cover all time, UTC.

    Parameters are those of `tick_at`, which says the same of single rows.
    """
    reviewed = [tick_size for tick_size in tick_sizes if tick_size.is_of(instrument)]
    edges = {time for one in reviewed for time in (one.start, one.end) if time is not None}
    starts = [BEGINNING, *sorted(edges)]
    frame = pl.DataFrame({"timestamp": starts}, schema={"timestamp": pl.Datetime("us", "UTC")})
    ticks = frame.select(tick_at(instrument, reviewed, default=default))["tick"].to_list()
    return list(zip(starts, [*starts[1:], END], ticks, strict=True))


def is_on_tick(price: str, tick: str = "tick") -> pl.Expr:
    """Whether a price is a multiple of its tick, to a millionth of one; null without a tick."""
    ticks = pl.col(price) / pl.col(tick)
    return (ticks - ticks.round()).abs() < 1e-6  # noqa: PLR2004  float noise is 1e-9 ticks at most


def _tick_size(entry: dict[str, Any], path: Path) -> TickSize:
    try:
        known = {"tick": None} if entry.get("tick") == UNKNOWN else {}
        tick_size = TickSize(**(entry | known))
    except TypeError as error:
        message = f"{path}: {entry} is no tick size: {error}"
        raise ReviewedFileError(message) from error
    tick = tick_size.tick
    if tick is not None and not (isinstance(tick, float | int) and tick > 0):
        message = (
            f"{path}: {tick_size.instrument} has tick {tick!r}, expected one above 0 or {UNKNOWN!r}"
        )
        raise ReviewedFileError(message)
    return tick_size


def _is_during(tick_size: TickSize) -> pl.Expr:
    time = pl.col("timestamp")
    after = pl.lit(value=True) if tick_size.start is None else time >= tick_size.start
    before = pl.lit(value=True) if tick_size.end is None else time < tick_size.end
    return after & before
