import asyncio
import logging
import re
import time
from itertools import pairwise

import pytest

from etl.collect.board import Alarm, Board
from etl.collect.health.pings import Pinger, pinging
from etl.logs import logging_to
from etl.pings import BODY_BYTES
from tests.etl.collect.health.fast_loop import run
from tests.etl.collect.health.healthchecks import CHECK, Ping, listening

NOW = 1_760_572_800_000
ALARM = Alarm("index", "2 of 2 sources without new data", NOW - 61_000, 60_000, NOW)


def board(*, is_heard=True):
    told = Board(NOW, looked_ms=NOW)
    source = told.watch("index", "btc_usd", 60, NOW)
    if is_heard:
        source.heard(NOW - 2_000)
    return told


def ring(told, *names):
    told.alarms = dict.fromkeys(names, ALARM)


async def keep(told, url, *steps):
    """Ping for some minutes of the loop's time, changing the board in between."""
    async with pinging(told, url, lambda: NOW):
        for minutes, change in steps:
            await asyncio.sleep(minutes * 60)
            change()


def nothing():
    """Change nothing."""


def test_a_run_is_a_start_a_success_a_minute_and_an_exit_status():
    with listening(limits=False) as checks:
        run(keep(board(), checks.url, (2.5, nothing)))

    assert checks.whats() == ["start", "", "", "", "0"]
    assert checks.pings[1].body == "index 2 s"
    assert checks.pings[-1].body == "ended with exit status 0; index 2 s"


def test_all_pings_of_a_run_have_one_run_id_and_another_run_has_another():
    with listening(limits=False) as checks:
        for _ in range(2):
            run(keep(board(), checks.url, (0.5, nothing)))

    assert checks.whats() == ["start", "", "0"] * 2
    runs = [ping.rid for ping in checks.pings]
    assert len(set(runs[:3])) == len(set(runs[3:])) == 1
    assert runs[0] != runs[3]


def test_nothing_is_a_success_before_data_came():
    told = board(is_heard=False)
    heard = told.sources["index", "btc_usd"].heard
    with listening(limits=False) as checks:
        run(keep(told, checks.url, (1.5, lambda: heard(NOW)), (0.5, nothing)))

    assert checks.whats() == ["start", "", "0"]


def test_nothing_is_a_success_when_nobody_looks():
    told = board()
    told.looked_ms = NOW - 11_000
    with listening(limits=False) as checks:
        run(keep(told, checks.url, (1.2, nothing)))

    assert checks.whats() == ["start", "0"]


def test_an_alarm_fails_at_once_and_every_minute_and_its_end_succeeds_at_once():
    told = board()
    steps = ((0.5, lambda: ring(told, "index")), (2.2, lambda: ring(told)), (0.3, nothing))
    with listening(limits=False) as checks:
        run(keep(told, checks.url, *steps))

    assert checks.whats() == ["start", "", "fail", "fail", "fail", "", "0"]
    assert checks.pings[2].body == (
        "index: 2 of 2 sources without new data; it rings for 0 s\nindex 2 s"
    )


def test_alarms_that_come_and_go_stay_within_five_pings_a_minute():
    told = board()
    flapping = [(0.05, lambda n=n: ring(told, *["index"] * (n % 2))) for n in range(20)]
    with listening(now=lambda: time.time() * 60) as checks:
        run(keep(told, checks.url, *flapping))

    assert len(checks.pings) >= 4
    assert checks.ignored == 0
    assert checks.whats()[-1] == "0"


def test_an_error_ends_with_a_failing_status():
    async def failing(url):
        async with pinging(board(), url, lambda: NOW):
            await asyncio.sleep(1)
            raise ZeroDivisionError

    with listening() as checks, pytest.raises(ZeroDivisionError):
        run(failing(checks.url))
    assert checks.whats()[-1] == "1"


def test_a_stop_ends_with_status_0():
    async def stopped(url):
        task = asyncio.create_task(keep(board(), url, (60, nothing)))
        await asyncio.sleep(30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with listening(limits=False) as checks:
        run(stopped(checks.url))
    assert checks.whats() == ["start", "", "0"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("silent", "TimeoutError"), ("cut", "RemoteProtocolError"), ("503", "HTTP 503")],
)
def test_a_service_that_is_down_is_counted_said_once_and_stops_nothing(fault, reason, caplog):
    told, ticks = board(), []

    async def both(checks):
        async def work():
            while True:
                ticks.append(asyncio.get_running_loop().time())
                await asyncio.sleep(1)

        working = asyncio.create_task(work())
        await keep(told, checks.url, (1.5, lambda: setattr(checks, "fault", "")), (1.2, nothing))
        working.cancel()

    with (
        caplog.at_level(logging.INFO, "etl.collect"),
        listening(fault=fault, limits=False) as checks,
    ):
        run(both(checks))

    assert [line.getMessage() for line in caplog.records] == [
        f"pings to 127.0.0.1 do not count: {reason}",
        "pings to 127.0.0.1 count again",
    ]
    assert told.counts["pings_failed"] >= 3
    assert len(checks.pings) >= 2
    # the last may have come, and its answer not any more
    assert told.counts["pings"] in {len(checks.pings), len(checks.pings) - 1}
    assert max(b - a for a, b in pairwise(ticks)) < 10


def test_a_failure_that_does_not_get_through_is_tried_again_every_twenty_seconds():
    told = board()
    steps = ((0.5, lambda: ring(told, "index")), (0.9, nothing))
    with listening(fault="503", limits=False) as checks:
        run(keep(told, checks.url, *steps))

    assert (
        6 <= checks.requests <= 7
    )  # start, success at 0 and 20 s, failure at 30, 50 and 70 s, end


def test_a_check_that_does_not_exist_is_said(caplog):
    told = board()
    with listening() as checks:
        run(keep(told, checks.url.replace(CHECK, CHECK[:-1] + "9"), (1.2, nothing)))

    assert (told.counts["pings"], checks.pings) == (0, [])
    assert "pings to 127.0.0.1 do not count: there is no such check" in caplog.text


def test_pings_that_are_ignored_do_not_count(caplog):
    told = board()
    with listening() as checks:
        checks.pings = [Ping(time.time(), "", "", None)] * 5
        run(keep(told, checks.url, (1.2, nothing)))

    assert told.counts["pings_failed"] == checks.ignored >= 3
    assert "pings to 127.0.0.1 do not count: too many pings" in caplog.text


def test_the_address_of_a_check_is_a_secret_that_no_log_has(tmp_path, capsys):
    told = board()
    with logging_to(tmp_path, level=logging.DEBUG, console=True) as path:
        for fault in ("", "404", "302", "cut"):
            with listening(fault=fault, limits=False) as checks:
                run(keep(told, checks.url, (0.2, nothing)))
        run(keep(told, f"http://127.0.0.1:9/{CHECK}?key={CHECK}", (0.2, nothing)))
        logging.getLogger("etl").info("%r", Pinger(told, checks.url, lambda: NOW, None))

    logged = path.read_text(encoding="utf-8") + capsys.readouterr().err
    assert "pings to 127.0.0.1 do not count: HTTP 404" in logged
    assert "ConnectError" in logged
    assert CHECK not in logged


def test_a_long_body_is_cut_between_two_characters():
    told = board()
    told.alarms = {"index": Alarm("index", "ü" * BODY_BYTES, NOW, 0, NOW)}
    with listening() as checks:
        run(keep(told, checks.url, (0.2, nothing)))

    (failing,) = (ping for ping in checks.pings if ping.what == "fail")
    assert BODY_BYTES - 2 < len(failing.body.encode()) <= BODY_BYTES
    assert re.fullmatch("index: ü+", failing.body)


def test_a_query_of_the_address_is_kept():
    with listening() as checks:
        run(keep(board(), f"{checks.url}/?create=1", (0.1, nothing)))
    assert checks.whats() == ["start", "", "0"]


def test_an_end_waits_ten_seconds_for_a_service_that_does_not_answer():
    with listening(fault="silent") as checks:
        began = time.monotonic()
        run(keep(board(), checks.url, (0, nothing)), speed=20)
        assert 10 / 20 <= time.monotonic() - began < 5
    assert checks.requests >= 1


def test_without_an_address_nothing_is_sent():
    told = board()
    run(keep(told, None, (1, nothing)))
    assert not told.counts
