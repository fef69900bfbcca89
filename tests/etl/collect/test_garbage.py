"""Messages that wait for the disk are no garbage, and nobody looks for some among them."""

import gc

import pytest

from etl.collect.garbage import seldom_collected


@pytest.fixture
def collected():
    """Return how many collections there were so far; what was set before is set again."""
    before = gc.get_threshold()
    yield lambda: sum(one["collections"] for one in gc.get_stats())
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_flush_of_messages_is_walked_through_by_no_collection(collected):
    seldom_collected()
    before = collected()
    waiting = [(at, 1, "ticker", "ticker.X.100ms", b"{}") for at in range(20_000)]

    assert (len(waiting), collected()) == (20_000, before)


def test_circles_are_found_all_the_same(collected):
    seldom_collected()
    before = collected()
    for _ in range(200_000):
        circle: list[object] = []
        circle.append(circle)

    assert collected() > before
