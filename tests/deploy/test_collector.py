"""The collector itself under our unit, as installed: a simulated exchange, a real systemd."""

import json
import os
import re
import signal
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.accelerated import Clock
from tests.deploy.machine import until
from tests.deploy.service import DROP_IN, SECRETS, STATE, UNIT, journal, restarts, shell
from tests.etl.collect.collecting import NOW, PERPETUALS
from tests.etl.collect.days import START_MS, whole_until_ms
from tests.exchange.running import running

SPEED = 30.0
PATIENCE_S = 60.0
MOST_START_S = 5
COMMAND = "/usr/local/bin/deribit-lake"
HURRIED = """\
[Service]
Environment={clock}
WatchdogSec=3
RestartSec=0.5
TimeoutStartSec={most_start_s}
"""
COLLECT = {
    "instruments": PERPETUALS,
    "kinds": ("candles", "index"),
    "clock_limit": 600,  # a second of ours is half a minute of theirs
    "write_limit": 600,
    "least_free_gb": 0.1,  # the machine's disk is memory
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clock():
    return Clock.from_now(datetime.fromisoformat(NOW).timestamp(), SPEED)


@pytest.fixture(scope="module")
def page():
    """Return an address for the page: the network is all machines'."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return f"127.0.0.1:{one.getsockname()[1]}"


@pytest.fixture(scope="module")
def exchange(clock):
    told = {"options_since": "2025-10-10T00:00:00Z", "limits": False}
    with running(now=NOW, speed=SPEED, started=clock.started, **told) as one:
        yield one


def hurried(clock):
    """Return a drop-in by which time runs as fast as the exchange's."""
    told = clock.environment | {"PYTHONPATH": "/srv"}
    names = ("PYTHONPATH", "DERIBIT_LAKE_TEST_CLOCK")
    environment = " ".join(f'"{name}={told[name]}"' for name in names)
    return HURRIED.format(clock=environment, most_start_s=MOST_START_S)


def settings(exchange, page, **told):
    """Return the file of the environment."""
    plain = {"HOST": exchange.url, "CREDIT_REFILL": 10**7, "CREDIT_CAPACITY": 5 * 10**7}
    collect = {"LISTEN": page} | {
        name.upper(): value if isinstance(value, str) else json.dumps(value)
        for name, value in (COLLECT | told).items()
    }
    plain |= {f"COLLECT__{name}": value for name, value in collect.items()}
    return "".join(f"DERIBIT_LAKE_{name}={value}\n" for name, value in plain.items())


@pytest.fixture
def unit(machine, clock, exchange, page):
    """Return the machine with a lake that is empty and the unit ready to start."""
    machine.write(DROP_IN, hurried(clock))
    machine.write(SECRETS, settings(exchange, page))
    shell(machine, "systemctl daemon-reload")
    machine.run("systemctl", "reset-failed", UNIT)
    yield machine
    machine.run("systemctl", "stop", UNIT)
    machine.write(SECRETS, "")
    shell(machine, f"rm -rf {STATE}/lake/*")


def minutes(machine):
    """Return how many minutes of live candles there are, all the market's, since all began."""
    folder = Path(f"/proc/{machine.init}/root{STATE}/lake")
    ends = [whole_until_ms(folder, name) for name in PERPETUALS]
    return -1 if None in ends else (min(ends) - START_MS) // 60_000


def state(machine):
    return machine.show(UNIT, "ActiveState")


@contextmanager
def stopped(process):
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_it_says_when_it_collects_and_how_it_is_and_leaves_in_order(unit):
    shell(unit, f"systemctl start {UNIT}")
    assert state(unit) == "active"
    assert until(lambda: minutes(unit) > 0, PATIENCE_S), journal(unit)
    well = "candles .*; index .*; 1 of 1 sockets up"
    assert until(lambda: re.fullmatch(well, unit.show(UNIT, "StatusText")), PATIENCE_S)
    assert "verdict: FRESH\n" in shell(unit, f"{COMMAND} status --live")
    shell(unit, f"systemctl stop {UNIT}")
    assert (state(unit), unit.show(UNIT, "ExecMainStatus")) == ("inactive", "0")
    assert restarts(unit) == 0


def test_data_that_stand_still_starve_the_watchdog_and_it_waits_until_they_are_back(unit, exchange):
    """Also for longer than a start may take: it says that it needs more time."""
    began = time.time()
    shell(unit, f"systemctl start {UNIT}")
    assert until(lambda: minutes(unit) > 0, PATIENCE_S), journal(unit)
    with stopped(exchange.pid):
        assert until(lambda: restarts(unit) == 1, PATIENCE_S), journal(unit)
        time.sleep(MOST_START_S + 1)
    assert until(lambda: state(unit) == "active", PATIENCE_S), journal(unit)
    said = journal(unit, began)
    words = ("alarm everything: ", "fed no more, for a restart may mend this: ", "Watchdog timeout")
    assert sorted(words, key=said.index) == list(words)
    assert "Fatal Python error: Aborted" in said
    assert "start operation timed out" not in said


def test_a_setting_it_cannot_run_with_keeps_it_down(unit, exchange, page):
    unit.write(SECRETS, settings(exchange, page, instruments=["BTC-PERPETUA"]))
    began = time.time()
    assert unit.run("systemctl", "start", UNIT).returncode != 0
    assert not until(lambda: restarts(unit) > 0, 2)
    assert (state(unit), unit.show(UNIT, "ExecMainStatus")) == ("failed", "2")
    assert "'BTC-PERPETUA' is not listed; nearest: BTC-PERPETUAL" in journal(unit, began)


def test_a_killed_one_comes_back_and_the_day_is_whole(unit):
    shell(unit, f"systemctl start {UNIT}")
    assert until(lambda: minutes(unit) > 0, PATIENCE_S), journal(unit)
    before = minutes(unit)
    shell(unit, f"systemctl kill --kill-who=main --signal=KILL {UNIT}")
    assert until(lambda: minutes(unit) >= before + 5, PATIENCE_S), journal(unit)
    assert (state(unit), restarts(unit)) == ("active", 1)


def test_the_day_that_ended_is_folded_under_what_the_unit_forbids(unit, clock, exchange, page):
    soon = datetime.fromtimestamp(clock.time() + 360, UTC)
    unit.write(SECRETS, settings(exchange, page, fold_at=f"{soon:%H:%M}"))
    began = time.time()
    shell(unit, f"systemctl start {UNIT}")
    assert until(lambda: "folded 1 datasets" in journal(unit, began), PATIENCE_S), journal(unit)
    told = shell(unit, f"{COMMAND} status")
    assert len(re.findall("COMPLETE  2025-10-17 00:00  2025-10-17 23:59  1,440", told)) == 2
