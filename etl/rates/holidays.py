"""Days on which the US bond market may be closed, and no curve is owed.

By rule, so that no list has to be kept: the federal holidays, with the Friday before or the Monday
after where one is on a weekend, and Good Friday. A few of these days had a curve all the same
(Good Friday 2021 and 2023, the Fridays before Saturdays); whoever asks takes a curve that is there.
"""

from datetime import date, timedelta
from functools import cache

MONDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = 0, 3, 4, 5, 6
JUNETEENTH_SINCE = 2021
CLOSED = frozenset(
    {
        date(1994, 4, 27),  # mourning of Nixon
        date(2001, 9, 11),  # the attacks, two days
        date(2001, 9, 12),
        date(2004, 6, 11),  # mourning of Reagan
        date(2012, 10, 30),  # hurricane Sandy
        date(2018, 12, 5),  # mourning of George H. W. Bush
    }
)
"""Days that no rule says; those of mourning of 2007-01-02 and 2025-01-09 had a curve."""


def may_be_closed(day: date) -> bool:
    """Whether a day may have no curve: a weekend, a holiday, or a closure that is known."""
    return day.weekday() >= SATURDAY or day in CLOSED or day in holidays(day.year)


@cache
def holidays(year: int) -> frozenset[date]:
    """Return the holidays of the bond market that fall into a year, as they are observed.

    References
    ----------
    5 U.S.C. 6103 (federal holidays; Juneteenth since Public Law 117-17 of 2021); SIFMA's
    recommended holidays for Good Friday.
    """
    fixed = [(1, 1), (7, 4), (11, 11), (12, 25)] + [(6, 19)] * (year >= JUNETEENTH_SINCE)
    days = {_observed(date(year, month, day)) for month, day in fixed}
    days |= {
        _observed(date(year + 1, 1, 1)),  # on a Saturday, its Friday is of this year
        _nth(year, 1, MONDAY, 3),
        _nth(year, 2, MONDAY, 3),
        easter(year) - timedelta(days=2),
        _nth(year, 6, MONDAY, 1) - timedelta(days=7),  # the last one of May
        _nth(year, 9, MONDAY, 1),
        _nth(year, 10, MONDAY, 2),
        _nth(year, 11, THURSDAY, 4),
    }
    return frozenset(day for day in days if day.year == year)


@cache
def easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar.

    References
    ----------
    Meeus, J., Astronomical Algorithms, 2nd ed. 1998, chapter 8.
    """
    a, b, c = year % 19, year // 100, year % 100
    g = (8 * b + 13) // 25
    h = (19 * a + b - b // 4 - g + 15) % 30
    epact = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * epact) // 451
    month, day = divmod(h + epact - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _observed(day: date) -> date:
    moved = {SATURDAY: -1, SUNDAY: 1}.get(day.weekday(), 0)
    return day + timedelta(days=moved)


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))
