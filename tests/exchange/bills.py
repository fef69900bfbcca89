"""The curve of US bills the simulation knows: a level a day, and the days that have one.

The level follows what the three-month yield did, knot by knot; a longer tenor pays what the level
will be on average until then. Yields are printed to 0.01 %. Closed days are those the bond market
was closed on: `tests/exchange` has its own list of them, that our rules are held against.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np

from tests.exchange import noise

FIRST, LAST = date(1990, 1, 2), date(2039, 12, 31)
BEGINS = {
    1.0: date(2001, 7, 31),
    1.5: date(2025, 2, 18),
    2.0: date(2018, 10, 16),
    3.0: FIRST,
    4.0: date(2022, 10, 19),
    6.0: FIRST,
    12.0: FIRST,
}
"""The first day of each tenor, by its months."""
KNOTS = (
    ("1990-01-01", 7.8), ("1993-01-01", 3.1), ("1995-06-01", 5.8), ("2000-11-01", 6.3),
    ("2003-06-01", 0.9), ("2007-02-01", 5.1), ("2009-01-01", 0.1), ("2015-11-01", 0.1),
    ("2016-12-15", 0.5), ("2017-12-15", 1.35), ("2019-01-01", 2.42), ("2019-07-31", 2.1),
    ("2020-02-20", 1.58), ("2020-03-27", 0.03), ("2021-12-31", 0.06), ("2022-06-30", 1.7),
    ("2022-12-31", 4.4), ("2023-08-01", 5.55), ("2024-08-01", 5.3), ("2024-12-31", 4.35),
    ("2025-07-01", 4.35), ("2025-12-31", 3.8), ("2039-12-31", 3.0),
)  # fmt: skip
"""The three-month yield [%], straight between."""
OPEN_ON_GOOD_FRIDAY = (2012, 2015, 2021, 2023, 2026)
CLOSURES = (
    date(1994, 4, 27), date(2001, 9, 11), date(2001, 9, 12), date(2004, 6, 11),
    date(2012, 10, 30), date(2018, 12, 5),
)  # fmt: skip
"""Days of mourning and disaster; on that of 2025-01-09 the bond market was open."""
_EASTERS = {
    2015: (4, 5), 2016: (3, 27), 2017: (4, 16), 2018: (4, 1), 2019: (4, 21), 2020: (4, 12),
    2021: (4, 4), 2022: (4, 17), 2023: (4, 9), 2024: (3, 31), 2025: (4, 20), 2026: (4, 5),
    2027: (3, 28), 2028: (4, 16),
}  # fmt: skip
_OUT_AT = timedelta(hours=21, minutes=30)  # 16:30 or 17:30 in New York
_NOISE = noise.key(7, "bills")


@cache
def yields(day: date) -> dict[float, float]:
    """Return the yields of a day [%], by months."""
    found = {}
    for months, begins in BEGINS.items():
        if day >= begins:
            places = day.toordinal() + np.linspace(0.0, months * 30.4, 13)
            level = float(np.interp(places, *_knots()).mean())
            counter = np.array([day.toordinal() * 100 + round(months * 2)], dtype=np.uint64)
            shaken = level + 0.02 * float(noise.normal(_NOISE, counter)[0])
            found[months] = max(0.0, round(shaken, 2))
    return found


def has_curve(day: date) -> bool:
    """Whether there is a curve of a day."""
    return FIRST <= day <= LAST and day.weekday() < 5 and day not in closed(day.year)


def is_out(day: date, now_us: int) -> bool:
    """Whether the curve of a day is published by a moment."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return (midnight + _OUT_AT).timestamp() * 1e6 <= now_us


def days(first: date, last: date) -> list[date]:
    """Return the days from one to another, both of them."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@cache
def closed(year: int) -> frozenset[date]:
    """Return the weekdays of a year on which the bond market was closed."""
    mondays = {
        (1, 3): date(year, 1, 15), (2, 3): date(year, 2, 15), (5, 5): date(year, 5, 25),
        (9, 1): date(year, 9, 1), (10, 2): date(year, 10, 8),
    }  # fmt: skip
    found = {_from(earliest, 0) for earliest in mondays.values()}
    found.add(_from(date(year, 11, 22), 3))
    fixed = [(1, 1), (7, 4), (11, 11), (12, 25), *([(6, 19)] if year >= 2022 else [])]
    for month, day in fixed:
        holiday = date(year, month, day)
        if holiday.weekday() == 6:
            found.add(holiday + timedelta(days=1))
        elif holiday.weekday() < 5:
            found.add(holiday)
        elif month in {7, 12}:  # of other holidays on a Saturday, the Friday was open
            found.add(holiday - timedelta(days=1))
    if year in _EASTERS and year not in OPEN_ON_GOOD_FRIDAY:
        found.add(date(year, *_EASTERS[year]) - timedelta(days=2))
    return frozenset(found | {day for day in CLOSURES if day.year == year})


def _from(earliest: date, weekday: int) -> date:
    return earliest + timedelta(days=(weekday - earliest.weekday()) % 7)


@cache
def _knots() -> tuple[tuple[int, ...], tuple[float, ...]]:
    places, levels = zip(*KNOTS, strict=True)
    return tuple(date.fromisoformat(text).toordinal() for text in places), levels
