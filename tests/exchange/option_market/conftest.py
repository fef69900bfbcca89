"""A market whose options trade rarely, and exchanges that serve it."""

import json
from dataclasses import replace

import pytest

from tests.exchange.clock import Clock
from tests.exchange.conftest import Client
from tests.exchange.faults import Faults, named
from tests.exchange.incidents import milliseconds
from tests.exchange.limits import Limits
from tests.exchange.market import Market
from tests.exchange.server import Exchange

NOW = "2025-10-18T00:00:00Z"
ACTIVITY = 0.03


class TradesClient(Client):
    """Asks for trades, of www or of the history host."""

    def trades(self, method, host="history", **params):
        path = {"history": "/history/api/v2", "www": "/api/v2"}[host]
        answer = self.send("GET", f"{path}/public/get_last_trades_{method}", params=params)
        body = json.loads(answer.content)
        return body["result"] if "result" in body else body["error"]


@pytest.fixture(scope="session")
def quiet():
    """A market with three per cent of the trades."""
    return Market(7, milliseconds(NOW), option_activity=ACTIVITY)


@pytest.fixture
def opened(quiet):
    def opened(*, now=NOW, faults="none", fault_seed=0, every=False, **market):
        opens = replace(quiet, **market) if market else quiet
        return TradesClient(
            Exchange(
                opens.at(milliseconds(now)),
                Clock.frozen(milliseconds(now)),
                latency_s=0.0,
                limits=Limits(lambda: 0.0, enforced=False),
                faults=Faults(named(faults), fault_seed, every=every),
            )
        )

    return opened
