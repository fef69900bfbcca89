import asyncio

import httpx
import pytest

from tests.exchange.limits import Bucket
from tests.exchange.running import running


class Hand:
    """A clock that is turned by hand."""

    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
def limited(open_exchange, hand):
    return open_exchange(clock=hand)


def count_admitted(client, method, tries, **params):
    answers = [client.get(method, **params) for _ in range(tries)]
    return sum(answer.status_code == 200 for answer in answers), answers[-1]


def test_a_full_bucket_holds_one_hundred_calls(limited):
    admitted, refused = count_admitted(limited, "test", 101)

    assert admitted == 100
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == 10028


def test_twenty_calls_a_second_are_sustained(limited, hand):
    count_admitted(limited, "test", 101)
    hand.time += 1.0

    assert count_admitted(limited, "test", 30)[0] == 20


def test_who_is_out_of_credits_has_the_session_ended(limited):
    refused = count_admitted(limited, "test", 101)[1]

    assert refused.headers["connection"] == "close"


def test_get_instruments_comes_fifty_times_at_once_and_then_once_a_second(limited, hand):
    assert count_admitted(limited, "get_instruments", 52, kind="spot")[0] == 50
    hand.time += 2.0
    assert count_admitted(limited, "get_instruments", 7, kind="spot")[0] == 2


def test_credits_do_not_pile_up_beyond_the_capacity():
    hand = Hand()
    bucket = Bucket(10, 1.0, hand)
    hand.time += 1e6

    assert [bucket.spend(6), bucket.spend(6)] == [True, False]


def test_credits_spent_are_counted(limited):
    count_admitted(limited, "test", 3)

    assert limited.send("GET", "/_exchange/stats").json()["credits_spent"] == 1_500


async def _statuses(url, connections):
    """Open connections that stay open, one after another, and return their statuses."""
    clients = [httpx.AsyncClient(base_url=url, trust_env=False) for _ in range(connections)]
    statuses = [(await client.get("/api/v2/public/test")).status_code for client in clients]
    for client in clients:
        await client.aclose()
    return statuses


def test_the_33rd_simultaneous_connection_is_refused_until_others_close():
    with running() as exchange:
        assert asyncio.run(_statuses(exchange.url, 33)) == [200] * 32 + [429]
        assert asyncio.run(_statuses(exchange.url, 1)) == [200]
        assert exchange.stats()["max_connections"] == 33


async def _in_flight(url, count):
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(count):
            group.create_task(client.get("/api/v2/public/test"))


def test_latency_delays_each_answer_but_not_one_after_the_other():
    with running(latency_ms=300) as exchange:
        loop_time = asyncio.run(_timed(_in_flight(exchange.url, 16)))

    assert 0.3 <= loop_time < 1.5


async def _timed(work):
    loop = asyncio.get_running_loop()
    start = loop.time()
    await work
    return loop.time() - start
