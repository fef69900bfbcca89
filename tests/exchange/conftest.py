"""An exchange in this process, one in its own, and the recorded data if it is at hand."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.exchange.clock import Clock
from tests.exchange.faults import Faults, named
from tests.exchange.incidents import milliseconds
from tests.exchange.limits import Limits
from tests.exchange.market import Market
from tests.exchange.running import NOW, running
from tests.exchange.server import Exchange, application

RECORDED = Path(__file__).parents[3] / "shared" / "data"


class Client:
    """Asks an exchange in this process, through its ASGI application."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.transport = httpx.ASGITransport(application(exchange))

    def send(self, method, path, **arguments):
        async def answer():
            async with httpx.AsyncClient(
                transport=self.transport, base_url="http://exchange"
            ) as client:
                return await client.request(method, path, **arguments)

        return asyncio.run(answer())

    def get(self, method, **params):
        return self.send("GET", f"/api/v2/public/{method}", params=params)

    def result(self, method, **params):
        return self.get(method, **params).json()["result"]

    def error(self, method, **params):
        answer = self.get(method, **params)
        return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture(scope="session")
def market():
    return Market(7, milliseconds(NOW))


@pytest.fixture
def open_exchange(market):
    def opened(*, now=NOW, faults="none", fault_seed=0, clock=None):
        return Client(
            Exchange(
                market.at(milliseconds(now)),
                Clock.frozen(milliseconds(now)),
                latency_s=0.0,
                limits=Limits(clock or (lambda: 0.0), enforced=clock is not None),
                faults=Faults(named(faults), fault_seed),
            )
        )

    return opened


@pytest.fixture
def client(open_exchange):
    return open_exchange()


@pytest.fixture(scope="session")
def served():
    """A healthy exchange in a process of its own, without limits."""
    with running(limits=False) as exchange:
        yield exchange


@pytest.fixture(scope="session")
def recorded():
    """A function that reads a recorded file: JSON parsed, anything else as text."""
    if not RECORDED.is_dir():
        pytest.skip("no recorded Deribit data beside the repository")

    def read(name):
        text = (RECORDED / name).read_text()
        return json.loads(text) if name.endswith(".json") else text

    return read
