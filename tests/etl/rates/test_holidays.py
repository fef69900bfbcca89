"""Days on which the bond market may be closed: by rule, against published and simulated ones."""

from datetime import date, timedelta

import pytest

from etl.rates.holidays import easter, holidays, may_be_closed
from tests.exchange import bills

EASTERS = {  # U.S. Census Bureau, Easter dates from 1600 to 2099
    1961: (4, 2), 1990: (4, 15), 2000: (4, 23), 2008: (3, 23), 2011: (4, 24), 2016: (3, 27),
    2019: (4, 21), 2024: (3, 31), 2025: (4, 20), 2026: (4, 5), 2038: (4, 25), 2049: (4, 18),
}  # fmt: skip


@pytest.mark.parametrize(("year", "day"), EASTERS.items())
def test_easter_is_where_the_calendar_has_it(year, day):
    assert easter(year) == date(year, *day)


def test_the_holidays_of_a_year_are_those_of_the_opm():
    expected = {
        date(2024, 1, 1), date(2024, 1, 15), date(2024, 2, 19), date(2024, 3, 29),
        date(2024, 5, 27), date(2024, 6, 19), date(2024, 7, 4), date(2024, 9, 2),
        date(2024, 10, 14), date(2024, 11, 11), date(2024, 11, 28), date(2024, 12, 25),
    }  # fmt: skip

    assert holidays(2024) == expected


@pytest.mark.parametrize(
    "day",
    [
        date(2021, 7, 5),  # Sunday the fourth
        date(2020, 7, 3),  # Saturday the fourth
        date(2021, 12, 31),  # Saturday the first of the year after
        date(2022, 12, 26),
        date(2023, 1, 2),
        date(2022, 6, 20),
        date(2018, 12, 5),
        date(1994, 4, 27),
        date(2024, 6, 15),
    ],
)
def test_observed_days_closures_and_weekends_may_be_closed(day):
    assert may_be_closed(day)


@pytest.mark.parametrize(
    "day",
    [date(2020, 6, 19), date(2019, 6, 19), date(2024, 7, 5), date(2025, 1, 9), date(2007, 1, 2)],
)
def test_other_business_days_owe_a_curve(day):
    assert not may_be_closed(day)


def test_no_day_the_simulated_market_was_closed_on_owes_a_curve():
    days = bills.days(date(2004, 1, 1), date(2028, 12, 31))
    closed = [day for day in days if day >= date(2015, 1, 1) and not bills.has_curve(day)]

    assert [day for day in closed if not may_be_closed(day)] == []
    assert len(closed) > 14 * 104


def test_a_year_has_few_more_holidays_than_were_kept():
    for year in range(2015, 2029):
        more = holidays(year) - bills.closed(year)
        assert len([day for day in more if day.weekday() < 5]) <= 3, (year, more)


def test_holidays_are_of_their_year_and_on_weekdays():
    for year in range(1990, 2060):
        assert {day.year for day in holidays(year)} == {year}
        assert all(day.weekday() < 5 for day in holidays(year))
        assert easter(year) - timedelta(days=2) in holidays(year)


def test_juneteenth_is_one_from_the_year_of_its_law_on():
    assert may_be_closed(date(2021, 6, 18))  # the Friday before a Saturday
    assert not may_be_closed(date(2020, 6, 19))
