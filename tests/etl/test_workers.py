import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from etl.backfill.replay import replay
from lake import raw
from lake.ledger import Record, write_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import open_lake
from lake.span import Span
from tests.acceptance.command import FROM_A_TERMINAL, Product
from tests.etl.staged import BTC, HOUR, MINUTES, RULES, START, attempt, chart, minutes

PARTITIONS = [Partition(MINUTES.name, name, "2024") for name in (BTC, "ETH-PERPETUAL")]
WAIT_S = 60


def staged(root):
    """A lake with raw of two perpetuals, each with a bad row."""
    lake = open_lake(root, create=True)
    for one in PARTITIONS:
        for body in (chart(minutes(0, 1, 2, 4)), chart(minutes(3), high=[1.0])):
            raw.stage([attempt(body)], MINUTES.raw_folder(lake, one))
        write_record(lake, one, Record(wanted=(Span(START, START + HOUR),)))
    return lake


def rebuilt(lake, count):
    """Every published file and every line of the ledger, as some workers leave them."""
    assert len(list(replay(lake, [MINUTES], RULES, count=count))) == len(PARTITIONS)
    return {
        path: (path.read_bytes(), path.stat().st_ino)
        for top in ("clean", "quarantine", "ledger")
        for path in (lake.root / top).glob("**/*.[jp]*")
    }


def children(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(one) for path in tasks for one in path.read_text().split()]


def workers_of(pid):
    """The processes forked by the server that is a child of a process."""
    return [one for child in children(pid) for one in children(child)]


def has_lock_open(pid):
    try:
        return any(
            str(path.readlink()).endswith(".lock") for path in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(is_so):
    """Wait for something to become true, and say whether it did."""
    deadline = time.monotonic() + WAIT_S
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()


@pytest.fixture
def waiting(tmp_path):
    """A replay whose two workers wait for locks, and all processes below it."""
    lake = staged(tmp_path / "lake")
    product = Product(lake.root, "http://localhost:1")
    command = product.command("replay", "--dataset", MINUTES.name, "--workers", 2, "--wait")
    with (
        locked(lake, PARTITIONS),
        subprocess.Popen(
            [*FROM_A_TERMINAL, *command],
            env=product.environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        ) as process,
    ):
        try:
            assert until(lambda: sum(map(has_lock_open, workers_of(process.pid))) == 2)
            yield process, [*children(process.pid), *workers_of(process.pid)]
        finally:
            process.kill()


def test_one_worker_and_two_leave_the_same_bytes(tmp_path):
    lake = staged(tmp_path)
    one, two = rebuilt(lake, 1), rebuilt(lake, 2)

    assert len(one) == 3 * len(PARTITIONS)
    assert {path: data for path, (data, _) in one.items()} == {
        path: data for path, (data, _) in two.items()
    }
    written = [path for path in one if path.suffix == ".parquet"]
    assert all(one[path][1] != two[path][1] for path in written)


def test_a_killed_worker_is_one_line_and_no_file_is_half_written(waiting, tmp_path):
    process, _ = waiting
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)

    _, said = process.communicate(timeout=WAIT_S)

    assert process.returncode == 1
    assert said.splitlines()[-1].startswith("error: a worker process was killed")
    assert "Traceback" not in said
    assert not list(tmp_path.glob("lake/**/*.tmp"))
    for path in tmp_path.glob("lake/clean/**/*.parquet"):
        pq.read_table(path)


def test_ctrl_c_ends_the_workers_even_where_they_wait_for_a_lock(waiting):
    process, below = waiting
    os.killpg(process.pid, signal.SIGINT)

    _, said = process.communicate(timeout=WAIT_S)

    assert process.returncode == 130
    assert "Traceback" not in said
    assert until(lambda: not any(map(lives, below)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_parent_that_is_told_to_end_ends_its_workers(waiting, number):
    process, below = waiting
    os.kill(process.pid, number)

    _, said = process.communicate(timeout=WAIT_S)

    assert process.returncode == 128 + number
    assert "Traceback" not in said
    assert until(lambda: not any(map(lives, below)))


def test_a_killed_parent_leaves_no_worker_behind(waiting):
    process, below = waiting
    os.kill(process.pid, signal.SIGKILL)

    assert until(lambda: not any(map(lives, below)))
