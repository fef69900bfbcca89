"""Exchanges with a socket: one whose clock stands, and one that runs a minute a second."""

import pytest

from tests.exchange.incidents import milliseconds
from tests.exchange.market import Market
from tests.exchange.running import running

NOON = "2026-10-18T12:34:56Z"
SPEED = 60


@pytest.fixture(scope="package")
def present():
    """The market at noon of a day in 2026; the exchanges of this folder have it too."""
    return Market(7, milliseconds(NOON), option_activity=0.03)


@pytest.fixture(scope="package")
def frozen():
    """An exchange whose clock stands."""
    with running(now=NOON, option_activity=0.03) as exchange:
        yield exchange


@pytest.fixture(scope="package")
def fast():
    """An exchange whose clock runs a minute a second, without limits."""
    with running(now=NOON, option_activity=0.03, speed=SPEED, limits=False) as exchange:
        yield exchange
