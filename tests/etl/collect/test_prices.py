from etl.collect.messages import IndexPrice
from etl.collect.prices import IndexMinutes

AT = 1_760_000_040_000 // 60_000 * 60_000


def prices(*ticks: tuple[float, float]) -> list[tuple[int, float]]:
    """Rows of ticks, each at some seconds after a full minute."""
    minutes = IndexMinutes()
    for second, price in ticks:
        minutes.take("btc_usd", IndexPrice(AT + round(second * 1000), price))
    rows = minutes.rows()
    seconds = (rows["timestamp"].dt.epoch("ms") - AT) // 1000
    return list(zip(seconds, rows["price"], strict=True))


def test_the_price_of_a_minute_is_the_last_one_at_or_before_it():
    assert prices((58, 1.0), (59.9, 2.0), (60.4, 3.0)) == [(60, 2.0)]
    assert prices((59, 1.0), (60, 2.0), (61, 3.0)) == [(60, 2.0)]


def test_a_price_that_was_not_fresh_is_none():
    assert prices((54.9, 1.0), (60.4, 3.0)) == []


def test_minutes_nothing_came_of_have_no_price():
    assert prices((59.5, 1.0), (190.0, 3.0)) == []


def test_a_price_that_comes_late_changes_nothing():
    assert prices((59, 1.0), (60.4, 3.0), (59.5, 2.0), (61, 4.0)) == [(60, 1.0)]
