"""A collector as a process whose exchange falls silent: who watches it is told, and in time."""

import os
import signal
import socket
import time

import pytest

from etl.collect.health.asking import ask
from etl.config import Collect
from tests.etl.collect.collecting import collecting
from tests.etl.collect.health.healthchecks import listening

pytestmark = pytest.mark.slow
LIMIT_S, WATCHDOG_S = 60, 30


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """Return the socket a collector's notices come to."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", f"{WATCHDOG_S}000000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "notify"))
        yield opened


def heard(opened, seconds=0.0):
    """Return the notices that come within some seconds."""
    end, notices = time.monotonic() + seconds, []
    while True:
        opened.settimeout(max(0.0, end - time.monotonic()))
        try:
            notices.append(opened.recv(10_000).decode())
        except (BlockingIOError, TimeoutError):
            return notices


def test_an_exchange_that_falls_silent_rings_fails_and_starves_the_watchdog(tmp_path, systemd):
    with socket.create_server(("127.0.0.1", 0)) as one:
        address = f"127.0.0.1:{one.getsockname()[1]}"
    told = {"kinds": ("index", "funding"), "listen": address, "clock_limit": 600}
    told |= {"write_limit": 600}  # a second of ours is half a minute of theirs
    with (
        listening(limits=False) as checks,
        collecting(tmp_path, speed=30.0, ping_url=checks.url, **told) as (collector, exchange),
    ):
        collector.until("socket 1: ")
        before = heard(systemd, 4)
        was = ask(Collect(listen=address))
        os.kill(exchange.pid, signal.SIGSTOP)
        try:
            collector.until("alarm everything: ")
            rung = ask(Collect(listen=address))
            heard(systemd, (LIMIT_S + WATCHDOG_S) / 30)
            stalled = heard(systemd, 3 * WATCHDOG_S / 30)
        finally:
            os.kill(exchange.pid, signal.SIGCONT)
        assert collector.stop() == 0

    assert any(one.startswith("READY=1") for one in before)
    assert before.count("WATCHDOG=1") >= 3
    assert was.is_fresh
    assert [alarm["name"] for alarm in rung.overview["alarms"]] == ["everything"]
    assert "WATCHDOG=1" not in stalled
    assert any(one.startswith("STATUS=alarms: everything; ") for one in stalled)
    whats = [ping.what for ping in checks.pings]
    assert whats[0] == "start"
    assert {"", "fail"} <= set(whats)
    assert whats[-1] == "0"
