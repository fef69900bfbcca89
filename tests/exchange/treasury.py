"""The Treasury's feed of its daily yield curve: a page a year or month, an Atom entry a day."""

import random
import re
from datetime import date, timedelta

from tests.exchange import bills

PATH = "/resource-center/data-chart-center/interest-rates/pages/xml"
DATA = "daily_treasury_yield_curve"
NAMES = {
    1.0: "BC_1MONTH", 1.5: "BC_1_5MONTH", 2.0: "BC_2MONTH", 3.0: "BC_3MONTH",
    4.0: "BC_4MONTH", 6.0: "BC_6MONTH", 12.0: "BC_1YEAR",
}  # fmt: skip
ZEROS, EMPTY = date(2017, 4, 14), date(2010, 10, 11)
"""Holidays that have an entry all the same, of zeros or of nothing: so they were sent."""
_LONGER = {"BC_2YEAR": 0.1, "BC_5YEAR": 0.2, "BC_10YEAR": 0.4, "BC_30YEAR": 0.7}
_PERIOD = re.compile(r"(\d{4})(\d{2})?")
_HEAD = """<?xml version="1.0" encoding="utf-8" standalone="yes" ?>
<feed xml:base="https://home.treasury.gov/" xmlns:d="http://schemas.microsoft.com/ado/2007/08/\
dataservices" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" \
xmlns="http://www.w3.org/2005/Atom">
<title type="text">DailyTreasuryYieldCurveRateData</title>
<id>https://home.treasury.gov/interest-rates/DailyTreasuryYieldCurveRateData</id>
<updated>{updated}</updated>
<link rel="self" title="DailyTreasuryYieldCurveRateData" href="DailyTreasuryYieldCurveRateData" />
"""


def period_of(params: dict[str, str]) -> tuple[date, date] | None:
    """Return the first and the last day that are asked for; None where the parameters are odd."""
    text = params.get("field_tdr_date_value_month") or params.get("field_tdr_date_value", "")
    found = _PERIOD.fullmatch(text)
    if params.get("data") != DATA or found is None:
        return None
    year, month = int(found[1]), int(found[2] or 0)
    if not 1990 <= year <= 2039 or month > 12:
        return None
    first = date(year, month or 1, 1)
    after = date(year + 1, 1, 1) if month in {0, 12} else date(year, month + 1, 1)
    return first, after - timedelta(days=1)


def page(first: date, last: date, now_us: int, faults: frozenset[str] = frozenset()) -> str:
    """Return the feed of some days, as it is at a moment."""
    if "other_year" in faults:
        first, last = (
            day.replace(year=day.year - 1, day=min(day.day, 28)) for day in (first, last)
        )
    out = [day for day in bills.days(first, last) if bills.has_curve(day) or day in {ZEROS, EMPTY}]
    out = [day for day in out if bills.is_out(day, now_us)]
    if "missing" in faults:
        out = [day for day in out if day.day != 14]
    if "future" in faults and out:
        out.append(out[-1] + timedelta(days=7))
    entries = [text for day in out for text in _entries(day, faults)]
    if "unordered" in faults:
        random.Random(0).shuffle(entries)  # noqa: S311  (an order, no secret)
    told = _HEAD.format(updated=f"{now_us // 1_000_000}") + "\n".join(entries) + "\n</feed>\n"
    if "renamed" in faults:
        told = told.replace("d:BC_", "d:PAR_")
    return _prefixed(told) if "plus" in faults else told


def _entries(day: date, faults: frozenset[str]) -> list[str]:
    """Return the entry of a day; more than one where it comes twice."""
    cells = {NAMES[months]: f"{value:.2f}" for months, value in bills.yields(day).items()}
    if day in {ZEROS, EMPTY}:
        cells = dict.fromkeys(cells, "0") if day == ZEROS else {}
    if day.day == 20 and "percent" in faults:
        cells["BC_3MONTH"] = "525"
    if day.day == 20 and "words" in faults:
        cells["BC_3MONTH"] = "closed"
    if "null" in faults:
        cells = {}
    one = _entry(day, cells)
    if "twice" in faults and day.day % 10 == 0:
        return [one, one]
    if "contradicting" in faults and day.day == 5:
        return [one, _entry(day, cells | {"BC_3MONTH": "9.99"})]
    return [one]


def _entry(day: date, cells: dict[str, str]) -> str:
    number = (day - bills.FIRST).days
    last = float(cells.get("BC_1YEAR", "0"))
    shown = {name: cells.get(name, "") for name in NAMES.values()}
    shown |= {name: f"{last + more:.2f}" for name, more in _LONGER.items()}
    shown["BC_30YEARDISPLAY"] = shown["BC_30YEAR"]
    fields = "".join(_field(name, text, says_null=day.day % 2 == 1) for name, text in shown.items())
    return (
        f"<entry>\n<id>https://home.treasury.gov/DailyTreasuryYieldCurveRateData({number})</id>\n"
        '<title type="text"></title>\n<author><name /></author>\n'
        '<content type="application/xml">\n<m:properties>\n'
        f'<d:Id m:type="Edm.Int32">{number}</d:Id>\n'
        f'<d:NEW_DATE m:type="Edm.DateTime">{day}T00:00:00</d:NEW_DATE>\n'
        f"{fields}</m:properties>\n</content>\n</entry>"
    )


def _field(name: str, text: str, *, says_null: bool) -> str:
    if text:
        return f'<d:{name} m:type="Edm.Double">{text}</d:{name}>\n'
    null = ' m:null="true"' if says_null else ""
    return f'<d:{name} m:type="Edm.Double"{null} />\n'


def _prefixed(told: str) -> str:
    """Return the same feed with other prefixes and an element more in each entry."""
    more = told.replace("</m:properties>", "<d:BC_9MONTH>1.00</d:BC_9MONTH></m:properties>")
    for old, new in (("d:", "data:"), ("m:", "meta:")):
        more = re.sub(rf"(?<=[</ ]){old}", new, more)
        more = more.replace(f"xmlns:{old[0]}=", f"xmlns:{new[:-1]}=")
    return more
