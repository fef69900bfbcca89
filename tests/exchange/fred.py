"""FRED's graph as CSV: a series of the Treasury's yields, a row a weekday, days behind it."""

import random
from datetime import date, timedelta

from tests.exchange import bills

PATH = "/graph/fredgraph.csv"
SERIES = {"DGS1MO": 1.0, "DGS3MO": 3.0, "DGS6MO": 6.0, "DGS1": 12.0}


def asked(params: dict[str, str]) -> tuple[str, date, date] | None:
    """Return the series and the first and last day that are asked for; None for odd ones."""
    try:
        first = date.fromisoformat(params.get("cosd", "1990-01-02"))
        last = date.fromisoformat(params.get("coed", "2039-12-31"))
    except ValueError:
        return None
    return (params["id"], first, last) if params.get("id") in SERIES else None


def graph(
    series: str, first: date, last: date, now_us: int, faults: frozenset[str] = frozenset()
) -> str:
    """Return a series of some days, as it is at a moment: a business day behind the Treasury."""
    if "other_year" in faults:
        first, last = (
            day.replace(year=day.year - 1, day=min(day.day, 28)) for day in (first, last)
        )
    months = SERIES[series]
    out = [day for day in bills.days(max(first, bills.BEGINS[months]), last) if day.weekday() < 5]
    out = [day for day in out if bills.is_out(_next(day), now_us)]
    if "missing" in faults:
        out = [day for day in out if day.day != 14]
    if "future" in faults and out:
        out.append(out[-1] + timedelta(days=7))
    rows = [row for day in out for row in _rows(day, months, faults)]
    if "unordered" in faults:
        random.Random(0).shuffle(rows)  # noqa: S311  (an order, no secret)
    name = "DATE" if "old_form" in faults else "observation_date"
    head = f"{name},{'PAR' if 'renamed' in faults else series}"
    if "plus" in faults:
        return "\ufeff" + "\r\n".join([f"{head},NOTE", *(f"{row},x" for row in rows)]) + "\r\n"
    return "\n".join([head, *rows]) + "\n"


def _rows(day: date, months: float, faults: frozenset[str]) -> list[str]:
    """Return the line of a day; more than one where it comes twice."""
    text = "." if "old_form" in faults else ""
    if bills.has_curve(day) and "null" not in faults:
        more = 0.01 * (1 + day.toordinal() % 5) if _is_odd(day, faults) else 0.0
        text = f"{bills.yields(day)[months] + more:.2f}"
    if day.day == 20 and "percent" in faults:
        text = "525"
    if day.day == 20 and "words" in faults:
        text = "closed"
    if "twice" in faults and day.day % 10 == 0:
        return [f"{day},{text}"] * 2
    if "contradicting" in faults and day.day == 5:
        return [f"{day},{text}", f"{day},9.99"]
    return [f"{day},{text}"]


def _is_odd(day: date, faults: frozenset[str]) -> bool:
    return "disagree" in faults and day.day == 15


def _next(day: date) -> date:
    """Return the business day after one, on which FRED has it."""
    later = day + timedelta(days=1)
    while not bills.has_curve(later) and later < bills.LAST:
        later += timedelta(days=1)
    return later
