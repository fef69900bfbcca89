import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from lake.errors import PartitionBusyError
from lake.lock import locked, locked_file
from lake.partition import Partition
from lake.paths import Lake

ROOT = Path(__file__).parents[2]
YEARS = [Partition("perpetuals_ohlcv", "BTC-PERPETUAL", year) for year in ("2023", "2024")]
HOLD = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from lake.lock import locked, locked_file
from lake.paths import Lake
from lake.partition import Partition
with locked(Lake(Path(sys.argv[1])), [Partition("perpetuals_ohlcv", "BTC-PERPETUAL", "2024")]):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holder(root, *, seconds=30.0):
    """A process that holds the lock of 2024."""
    command = [sys.executable, "-c", HOLD, str(root), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_busy_partition_names_itself_and_the_process_that_writes_it(tmp_path):
    with holder(tmp_path) as process, pytest.raises(PartitionBusyError) as caught:  # noqa: SIM117
        with locked(Lake(tmp_path), YEARS):
            pass

    message = str(caught.value)
    assert message.startswith("perpetuals_ohlcv BTC-PERPETUAL 2024 is being written by process")
    assert f" {process.pid};" in message


def test_a_killed_holder_frees_its_lock(tmp_path):
    with holder(tmp_path) as process:
        process.kill()
        process.wait()

        with locked(Lake(tmp_path), YEARS):
            assert Lake(tmp_path).lock(YEARS[1]).read_text() == str(os.getpid())


def test_who_waits_goes_on_when_the_holder_ends(tmp_path):
    with holder(tmp_path, seconds=0.6) as process:
        started = time.monotonic()

        with locked(Lake(tmp_path), YEARS, wait=True):
            waited = time.monotonic() - started

        assert process.wait(timeout=5) == 0
    assert 0.2 < waited < 10


def test_other_partitions_are_free(tmp_path):
    with holder(tmp_path), locked(Lake(tmp_path), YEARS[:1]):
        assert Lake(tmp_path).lock(YEARS[0]).exists()


def test_a_refused_lock_gives_back_those_taken_before_it(tmp_path):
    with holder(tmp_path), pytest.raises(PartitionBusyError), locked(Lake(tmp_path), YEARS):
        pass

    with locked(Lake(tmp_path), YEARS[:1]):
        assert Lake(tmp_path).lock(YEARS[0]).read_text() == str(os.getpid())


def test_a_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(Lake(tmp_path), YEARS):
        _ = 1 / 0

    with locked(Lake(tmp_path), YEARS):
        pass


def test_a_second_lock_in_the_same_process_is_refused_too(tmp_path):
    with locked(Lake(tmp_path), YEARS), pytest.raises(PartitionBusyError):  # noqa: SIM117
        with locked(Lake(tmp_path), YEARS[:1]):
            pass


def test_who_waits_for_so_many_seconds_is_refused_after_them(tmp_path):
    with holder(tmp_path):
        started = time.monotonic()
        with pytest.raises(PartitionBusyError), locked(Lake(tmp_path), YEARS, wait=0.6):
            pass

    assert 0.6 <= time.monotonic() - started < 5


def test_who_waits_long_enough_goes_on_when_the_holder_ends(tmp_path):
    with holder(tmp_path, seconds=0.5), locked(Lake(tmp_path), YEARS, wait=20.0):
        assert Lake(tmp_path).lock(YEARS[1]).read_text() == str(os.getpid())


def test_a_lock_says_what_its_holder_does(tmp_path):
    path = tmp_path / "sync.lock"
    with locked_file(path, "a sync"):  # noqa: SIM117
        with pytest.raises(
            PartitionBusyError, match=f"a sync is under way in process {os.getpid()};"
        ):
            with locked_file(path, "a sync", doing="is under way in"):
                pass


def test_seconds_of_waiting_are_for_all_partitions_together(tmp_path, monkeypatch):
    """The first is freed after one second, the second after two and a half, of a clock of ours."""
    lake, clock = Lake(tmp_path), [0.0]
    frees = [(1.0, ExitStack()), (2.5, ExitStack())]
    for (_, held), partition in zip(frees, YEARS, strict=True):
        held.enter_context(locked(lake, [partition]))

    def sleep(seconds):
        clock[0] += seconds
        for at, held in frees:
            if clock[0] >= at:
                held.close()

    monkeypatch.setattr("lake.lock.time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    with pytest.raises(PartitionBusyError, match="2024"), locked(lake, YEARS, wait=2.0):
        pass
    assert clock[0] == pytest.approx(2.0, abs=0.3)
