import asyncio
import logging
import os
import socket

import httpx
import pytest
from pydantic import HttpUrl

from etl.collect.health.rates import Rates
from etl.collect.health.watching import watching
from etl.config import Collect
from etl.errors import UsageError
from tests.etl.collect.health.boards import NOW, fresh
from tests.etl.collect.health.fast_loop import run
from tests.etl.collect.health.healthchecks import listening


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Now:
    """The exchange's clock by the loop's time, from `NOW` on."""

    began = None

    def __call__(self):
        loop_s = asyncio.get_running_loop().time()
        self.began = self.began or loop_s
        return NOW + round(1000 * (loop_s - self.began))


def keep_speaking(board, now):
    """Let every source tell of now, but for one, until the loop ends."""

    async def speak():
        while True:
            for source in board.sources.values():
                if source.key != ("index", "btc_usd"):
                    source.heard(now())
            await asyncio.sleep(1)

    return asyncio.create_task(speak())


def test_a_channel_that_freezes_is_told_everywhere_in_time(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    board, now = fresh(), Now()

    async def collected(checks):
        collect = Collect(listen=f"127.0.0.1:{free_port()}", ping_url=HttpUrl(checks.url))
        async with watching(collect, board, now) as watch:
            watch.ready()
            speaking = keep_speaking(board, now)
            await asyncio.sleep(100)
            async with httpx.AsyncClient(trust_env=False, timeout=600) as client:
                answer = await client.get(f"http://{collect.listen}/healthz")
            speaking.cancel()
            return answer

    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        listening(limits=False) as checks,
    ):
        systemd.bind(str(tmp_path / "notify"))
        answer = run(collected(checks), speed=30)
        systemd.settimeout(0)
        notices = [systemd.recv(10_000).decode() for _ in range(3)]

    assert answer.status_code == 503
    assert answer.json()["reasons"][0].startswith("index btc_usd: 1 of 1 source without new data")
    assert checks.whats()[0] == "start"
    assert "fail" in checks.whats()
    assert checks.whats()[-1] == "0"
    assert board.alarms["index btc_usd"].rung_ms - NOW <= 2 * 60_000
    assert f"READY=1\nMAINPID={os.getpid()}" in notices


def test_a_page_that_cannot_be_ends_it_before_anything_begins():
    async def collected(checks, address):
        collect = Collect(listen=address, ping_url=HttpUrl(checks.url))
        async with watching(collect, fresh(), lambda: NOW):
            pytest.fail("it began")

    with socket.create_server(("127.0.0.1", 0)) as other, listening() as checks:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(UsageError, match="something listens there already"):
            asyncio.run(collected(checks, address))
    assert checks.requests == 0


def test_alarms_that_fail_are_said_and_leave_collection_alone(caplog):
    board, broken = fresh(), []

    def now():
        if broken:
            raise ZeroDivisionError
        return NOW

    async def collected():
        async with watching(Collect(listen=""), board, now):
            await asyncio.sleep(2)
            broken.append(True)
            await asyncio.sleep(5)
            broken.clear()
            return "collected"

    with caplog.at_level(logging.CRITICAL, "etl.collect"):
        assert run(collected()) == "collected"
    assert [line.getMessage() for line in caplog.records] == ["alarms stand still"]


def test_all_ends_when_the_collector_does():
    async def collected():
        before = asyncio.all_tasks()
        async with watching(Collect(listen="127.0.0.1:0"), fresh(), lambda: NOW):
            await asyncio.sleep(0.2)
            assert len(asyncio.all_tasks()) > len(before)
        return asyncio.all_tasks() - before

    assert asyncio.run(collected()) == set()


def test_rates_are_of_the_last_minute():
    board = fresh()
    rates = Rates(board)
    assert rates.per_second() == {}
    for second in range(0, 200, 2):
        board.counts["messages"] += 2_000 if second < 100 else 20
        rates.note(float(second))
    assert rates.per_second()["all"] == pytest.approx(10)
    assert rates.per_second()["index"] == 0
