"""On which days there was a delivery: two readings of a body whose days nobody recorded.

A recorded answer says that btc_usd had 2,614 records on 2026-09-20. Both of these have as many:
Fridays until the first daily options and every day since, or every day of a shorter time.
"""

from functools import cache

from tests.exchange.incidents import milliseconds
from tests.exchange.path import EPOCH_MS

DAY_MS, EIGHT_HOURS_MS = 86_400_000, 28_800_000
READINGS = ("fridays", "daily")
DAILY_SINCE = {"fridays": milliseconds("2020-02-03"), "daily": milliseconds("2019-07-26")}
FIRST_FRIDAY_MS = milliseconds("2016-06-03")
_FRIDAY = 1  # 1970-01-01 was a Thursday


def delivery_days(perpetual: str, reading: str, now_ms: int) -> tuple[int, ...]:
    """Return the days with a delivery on the index of a perpetual, since 1970, newest first."""
    return _days(perpetual, reading, (now_ms - EIGHT_HOURS_MS) // DAY_MS)


@cache
def _days(perpetual: str, reading: str, last: int) -> tuple[int, ...]:
    since = DAILY_SINCE[reading] // DAY_MS
    opened = (FIRST_FRIDAY_MS if perpetual == "BTC-PERPETUAL" else EPOCH_MS) // DAY_MS
    first = opened if reading == "fridays" else since
    return tuple(day for day in range(last, first - 1, -1) if day >= since or day % 7 == _FRIDAY)
