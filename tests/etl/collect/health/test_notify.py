import logging
import os
import socket

import pytest

from etl.collect.board import Board
from etl.collect.health.alarms import Alarms
from etl.collect.health.notify import Notifier
from etl.config import Collect
from tests.etl.collect.health.timeline import MANNERS, START_MS, Silence, board_of, speak

WATCHDOG_S = 30


@pytest.fixture(params=["a path", "an abstract name"])
def systemd(request, tmp_path):
    """Return a socket notices come to, and what the environment would call it."""
    abstract = f"deribit-lake-{os.getpid()}-{id(request)}"
    bound, named = (
        (f"{tmp_path}/notify", f"{tmp_path}/notify")
        if request.param == "a path"
        else (f"\0{abstract}", f"@{abstract}")
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(bound)
        opened.settimeout(0)
        yield opened, {"NOTIFY_SOCKET": named, "WATCHDOG_USEC": f"{WATCHDOG_S}000000"}


def heard(opened):
    """Return what came since it was last asked."""
    notices = []
    while True:
        try:
            notices.append(opened.recv(10_000).decode())
        except BlockingIOError:
            return notices


def fed(systemd, seconds, *silences, kinds=MANNERS, change=None):
    """Return the seconds the watchdog was fed at."""
    opened, environment = systemd
    board = board_of(kinds)
    alarms, notifier = Alarms(board, Collect()), Notifier.from_environment(environment)
    found = []
    for second in range(seconds):
        speak(board, second, silences)
        if change is not None:
            change(board, second)
        alarms.look(START_MS + 1000 * second)
        notifier.tell(board, START_MS + 1000 * second, float(second))
        found += [second] * heard(opened).count("WATCHDOG=1")
    notifier.close()
    return found


def test_being_ready_and_stopping_are_told(systemd):
    opened, environment = systemd
    notifier = Notifier.from_environment(environment)
    notifier.ready()
    notifier.stopping()
    notifier.close()
    assert heard(opened) == [f"READY=1\nMAINPID={os.getpid()}", "STOPPING=1\nSTATUS=stopping"]


def test_the_status_says_how_old_what_is_and_what_rings(systemd):
    opened, environment = systemd
    board = board_of(["index", "dvol"])
    alarms, notifier = Alarms(board, Collect()), Notifier.from_environment(environment)
    notifier.is_ready = True
    board.sources["index", "btc_usd"].heard(START_MS + 50_000)
    for second in (0, 5, 10, 61, 62):
        alarms.look(START_MS + 1000 * second)
        notifier.tell(board, START_MS + 1000 * second, float(second))
    notifier.close()

    assert [one for one in heard(opened) if one.startswith("STATUS=")] == [
        "STATUS=dvol 0 s at worst of 2; index 0 s at worst of 2",
        "STATUS=dvol 10 s at worst of 2; index 10 s at worst of 2",
        "STATUS=alarms: index eth_usd; dvol 1 min 1 s at worst of 2; index 1 min 1 s at worst of 2",
    ]


def test_more_time_is_asked_for_until_it_is_ready(systemd):
    opened, environment = systemd
    notifier = Notifier.from_environment(environment)
    notifier.tell(Board(START_MS), START_MS, 0.0)
    notifier.ready()
    notifier.tell(Board(START_MS), START_MS, 20.0)
    notifier.close()
    asked = [one for one in heard(opened) if "EXTEND_TIMEOUT_USEC=60000000" in one]
    assert asked == ["EXTEND_TIMEOUT_USEC=60000000\nSTATUS=nothing is collected yet"]


def test_the_watchdog_is_fed_three_times_as_often_as_it_bites(systemd):
    assert fed(systemd, 61) == [0, 10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize("silence", [Silence(100, 900), Silence(100, 900, line=2)])
def test_the_watchdog_goes_silent_when_data_stall_and_stays_silent_until_they_come(
    systemd, silence
):
    found = fed(systemd, 1_000, silence)
    last = 99 + 2 * 60  # twice the limit of an index
    assert max(one for one in found if one < 900) <= last
    assert max(one for one in found if one < 900) > last - 10
    back = [one for one in found if one > last]
    assert 900 <= back[0] <= 905  # the volatility index comes every five seconds
    assert len(back) == 10


def test_the_watchdog_goes_silent_when_the_disk_takes_nothing(systemd):
    def hang(board, second):
        if second >= 50:
            board.writing_since_ms = START_MS + 50_000

    assert max(fed(systemd, 200, change=hang)) == 60


@pytest.mark.parametrize(
    "silence",
    [
        Silence(100, 2_000, is_told=True),
        Silence(100, 2_000, kind="candles"),
        Silence(100, 2_000, kind="index", subject="btc_usd"),
    ],
)
def test_what_a_restart_cannot_mend_does_not_silence_the_watchdog(systemd, silence):
    assert fed(systemd, 2_000, silence) == list(range(0, 2_000, 10))


def test_the_watchdog_of_another_process_is_not_fed(systemd):
    opened, environment = systemd
    for pid, is_fed in (("1", False), (str(os.getpid()), True)):
        notifier = Notifier.from_environment(environment | {"WATCHDOG_PID": pid})
        notifier.tell(board_of(), START_MS, 0.0)
        notifier.close()
        assert ("WATCHDOG=1" in heard(opened)) is is_fed


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_socket_nothing_is_sent(environment):
    notifier = Notifier.from_environment(environment | {"WATCHDOG_USEC": "30000000"})
    notifier.ready()
    assert notifier == Notifier(is_ready=True)


def test_a_socket_that_is_gone_is_said_once_and_stops_nothing(tmp_path, caplog):
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": f"{tmp_path}/gone"})
    with caplog.at_level(logging.WARNING, "etl.collect"):
        notifier.ready()
        notifier.stopping()
    notifier.close()
    assert [line.getMessage() for line in caplog.records] == [
        f"systemd at {tmp_path}/gone does not listen: No such file or directory"
    ]


def test_when_the_watchdog_is_fed_no_more_the_log_says_for_what_and_when_again(systemd, caplog):
    caplog.set_level(logging.INFO)
    fed(systemd, 1_000, Silence(100, 900, line=2))
    told = [one.getMessage() for one in caplog.records if "watchdog" in one.getMessage()]
    assert told == [
        "the watchdog is fed no more, for a restart may mend this: socket 2",
        "the watchdog is fed again",
    ]
