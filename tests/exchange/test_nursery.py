"""Forks of one process are exchanges of their own, and end when nobody is left to ask them."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.exchange.running import running

ROOT = Path(__file__).parents[2]
LEFT_ALONE = """
import os
from tests.exchange.nursery import _nursery
_, nursery = _nursery()
print(nursery.pid, flush=True)
os._exit(0)
"""


def time_of(exchange):
    answer = httpx.get(f"{exchange.url}/api/v2/public/get_time", trust_env=False)
    return answer.json()["result"]


def test_two_of_them_have_their_own_present_and_count_their_own_requests():
    with running(now="2025-10-18T00:00:00Z") as one, running(now="2025-10-17T00:00:00Z") as other:
        assert time_of(one) - time_of(other) == 86_400_000
        assert time_of(one) == 1_760_745_600_000
        assert (one.stats()["requests"], other.stats()["requests"]) == (2, 1)


def test_one_is_gone_when_it_was_told_to_stop():
    with running() as exchange:
        assert is_running(exchange.pid)
    assert not is_running(exchange.pid)


def test_words_it_refuses_are_an_error():
    with pytest.raises(RuntimeError, match="the exchange did not start"), running(faults="none of"):
        pass


def test_the_nursery_ends_with_whoever_began_it():
    command = [sys.executable, "-c", LEFT_ALONE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    deadline = time.monotonic() + 60
    while is_running(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not is_running(int(done.stdout))


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state not in {"Z", "X"}
