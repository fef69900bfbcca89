"""The simulated volatility index: pages, and bars that agree with each other."""

import numpy as np
import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.volatility_index import FIRST_MS, MOST_ROWS, STEPS_MS, bars

DAY_MS = 86_400_000
NOW = milliseconds("2025-10-18")


def ask(start_ms, end_ms, resolution="60", currency="BTC", now_ms=NOW):
    return bars(7, currency, (start_ms, end_ms), resolution, now_ms=now_ms)


def test_a_page_is_the_newest_1000_bars_and_says_where_the_rest_goes_on():
    start = milliseconds("2024-03-01")

    rows, continuation = ask(start, start + DAY_MS - 1)

    assert len(rows) == MOST_ROWS
    assert rows[-1][0] == start + DAY_MS - 60_000
    assert continuation == rows[0][0] - 60_000


def test_pages_that_follow_the_continuation_have_every_bar_once():
    start, end = milliseconds("2024-03-01"), milliseconds("2024-03-03")
    opens, upto = [], end - 1
    while upto is not None:
        rows, upto = ask(start, upto)
        opens = [row[0] for row in rows] + opens

    assert opens == list(range(start, end, 60_000))


@pytest.mark.parametrize("resolution", ["3600", "43200", "1D"])
def test_a_bar_is_what_its_minutes_amount_to(resolution):
    start, step = milliseconds("2024-03-01"), STEPS_MS[resolution]
    minutes = []
    for first in range(start, start + step, 36_000_000):
        minutes += ask(first, min(first + 36_000_000, start + step) - 1)[0]
    minutes = np.array(minutes)

    (bar,), _ = ask(start, start + step - 1, resolution)

    assert bar[1:] == [
        minutes[0, 1], minutes[:, 2].max(), minutes[:, 3].min(), minutes[-1, 4],
    ]  # fmt: skip


def test_the_last_bar_is_still_forming():
    closed, _ = ask(NOW - 3_600_000, NOW - 1, "3600", now_ms=NOW)
    forming, _ = ask(NOW - 3_600_000, NOW - 1, "3600", now_ms=NOW - 1_800_000)

    assert closed[0][:2] == forming[0][:2]
    assert closed[0][4] != forming[0][4]
    assert closed[0][2] >= forming[0][2]


def test_there_is_nothing_before_the_index_began():
    rows, continuation = ask(0, FIRST_MS + 120_000 - 1)

    assert [row[0] for row in rows] == [FIRST_MS, FIRST_MS + 60_000]
    assert continuation is None


def test_values_are_plausible_vol_points():
    rows, _ = ask(0, NOW, "1D", currency="ETH")

    closes = np.array(rows)[:, 4]
    assert (closes > 20).all()
    assert (closes < 250).all()


def test_other_currencies_have_no_volatility_index(client):
    answer = client.get(
        "get_volatility_index_data",
        currency="SOL", start_timestamp=0, end_timestamp=1, resolution="60",
    )  # fmt: skip

    assert answer.status_code == 400
    assert answer.json()["error"]["data"]["param"] == "currency"


def test_an_index_chart_ends_now_with_the_index(client):
    answer = client.get("get_index_chart_data", index_name="btc_usd", range="1h").json()["result"]

    times = np.array([row[0] for row in answer])
    assert len(answer) in {600, 601}
    assert (np.diff(times) == 6_000).all()
