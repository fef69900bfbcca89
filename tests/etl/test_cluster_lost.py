"""A cluster that is lost in mid-run, whole or in part: the same bytes, or one line that says so."""

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from etl import cluster as our_cluster
from etl import pipeline
from etl.catalog import find_computed
from etl.compute.run import Ask
from etl.errors import ClusterError
from etl.progress import LogProgress
from lake.ledger import Record, write_record
from lake.lock import locked
from lake.partition import Partition
from lake.token import FOLDER
from tests.acceptance.command import FROM_A_TERMINAL, ROOT
from tests.dask_cluster import cluster, wait
from tests.etl.test_cluster import (
    MADE,
    MONTHS,
    WAIT_S,
    compute,
    product,
    published,
    said_in_a_line,
)
from tests.etl.test_cluster import dask as dask  # noqa: PLC0414  a fixture
from tests.etl.test_cluster import lake as lake  # noqa: PLC0414  a fixture
from tests.etl.test_cluster import serial as serial  # noqa: PLC0414  a fixture
from tests.etl.test_workers import has_lock_open

CURVES = [Partition("forward_curve", "BTC", month) for month in MONTHS]


@contextmanager
def announced(lake):
    """Hold the locks of what is to be computed first, and have its lines written by then."""
    for one in CURVES:
        write_record(lake, one, Record(wanted=(one.span,), inputs=()))
    with ExitStack() as locks:
        locks.enter_context(locked(lake, CURVES))
        yield locks


def are_held_up(dask):
    return all(has_lock_open(worker.pid) for worker in dask.living)


@contextmanager
def held_up(lake, dask):
    """Yield a run on a cluster, a task in each worker waiting for a lock; and those locks."""
    words = product(lake).command("compute", *MADE, "--cluster", dask.address)
    with (
        announced(lake) as locks,
        subprocess.Popen(
            [*FROM_A_TERMINAL, *words],
            env=product(lake).environment | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            cwd=lake.root.parent,
            text=True,
        ) as process,
    ):
        try:
            wait(lambda: are_held_up(dask), [process])
            yield process, locks
        finally:
            process.kill()


def end_of(process):
    """Return what a process said, once it has ended."""
    _, said = process.communicate(timeout=WAIT_S)
    return subprocess.CompletedProcess(process.args, process.returncode, "", said)


def test_a_killed_worker_costs_its_tasks_only_and_the_bytes_are_the_same(dask, lake, serial):
    lost = dask.living[0]
    with held_up(lake, dask) as (process, locks):
        lost.kill()
        dask.wait_for(1)
        locks.close()
        done = end_of(process)
    dask.add()

    assert (lost.poll(), done.returncode) == (-signal.SIGKILL, 0)
    assert published(lake.root) == serial
    assert done.stderr.count("Traceback") == 0


def test_ctrl_c_leaves_no_work_behind(dask, lake):
    with held_up(lake, dask) as (process, _):
        process.send_signal(signal.SIGINT)
        done = end_of(process)
        with dask.client() as client:
            wait(lambda: not client.run_on_scheduler(tasks_of))

    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def tasks_of(dask_scheduler):
    return list(dask_scheduler.tasks)


def test_a_scheduler_that_vanishes_is_one_line_and_the_next_run_goes_on(tmp_path, lake, serial):
    with cluster(tmp_path / "dask", 1) as dask, held_up(lake, dask) as (process, _):
        dask.scheduler.kill()
        line = said_in_a_line(end_of(process))

        assert line.startswith(f"error: the scheduler at {dask.address} is gone: what was publi")
    assert not list((lake.root / FOLDER).iterdir())
    assert compute(lake, "--workers", 1).returncode == 0
    assert published(lake.root) == serial


def test_a_cluster_no_worker_comes_to_or_all_have_left_is_one_line(tmp_path, lake, monkeypatch):
    for name in ("WORKERS_S", "LOOK_S"):
        monkeypatch.setattr(our_cluster, name, 1.0)
    with cluster(tmp_path / "dask", 0) as dask:
        line = said_in_a_line(compute(lake, "--cluster", dask.address))

        assert line == f"error: no worker has come to {dask.address} in 1 s"
        dask.add()
        with announced(lake), ThreadPoolExecutor(1) as here:
            iv = [find_computed("iv")]
            run = here.submit(pipeline.compute_on, dask.address, lake, iv, LogProgress(), Ask())
            wait(lambda: are_held_up(dask))
            dask.living[0].kill()
            with pytest.raises(ClusterError, match="no worker has come"):
                run.result(WAIT_S)


def test_a_task_that_ends_its_workers_is_one_line(tmp_path, lake):
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with cluster(tmp_path / "dask", 1, **settings) as dask, held_up(lake, dask) as (process, _):
        dask.living[0].kill()
        line = said_in_a_line(end_of(process))

        assert line.startswith(f"error: a task ended 1 workers of {dask.address}, perhaps for want")
