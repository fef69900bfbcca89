"""Where heavy work runs: here, one piece after the other, or in processes of their own."""

import gc
import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import ParamSpec, TypeVar

from etl.errors import EtlError

P = ParamSpec("P")
T = TypeVar("T")

ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
# Memory that is free goes back to the system, where each worker would keep a third of its peak.
LEAN = {"ARROW_DEFAULT_MEMORY_POOL": "system", "_RJEM_MALLOC_CONF": "dirty_decay_ms:0"}
TICK_S = 0.5
WORTH_S = 2.0
PRELOADED = ["typer", "etl.backfill.replay", "etl.compute.run"]


class InProcess(Executor):
    """An executor that does each piece of work at once, where it is handed in."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return a future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (a future hands it on)
            future.set_exception(error)
        return future


class Watched(Executor, ABC):
    """An executor that can tell, while its work is waited for, that it will not be done."""

    @abstractmethod
    def watch(self) -> None:
        """Raise an `EtlError` if it will not."""


@contextmanager
def executor(workers: int | None, pieces: int, seconds: float) -> Iterator[Executor]:
    """Return where to run some pieces of work that take about so many seconds of one core.

    Without `workers` on every core there is, where that pays: to start them takes a second.
    Processes are forked from one that has imported the modules they need; each computes on one
    thread, so that as many are busy as there are cores.
    """
    usual = os.cpu_count() or 1 if seconds > WORTH_S else 1
    count = min(workers or usual, pieces)
    if count <= 1:
        yield InProcess()
        return
    pool = _pool(count)
    with _environment(ONE_THREAD | LEAN), pool:
        try:
            yield pool
        except KeyboardInterrupt:
            for worker in multiprocessing.active_children():
                worker.terminate()  # it may wait for a lock; what it was writing is tidied later
            raise
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def apart() -> Executor:
    """Return one process to run work in, begun at the first piece; shut it in the end."""
    with _environment(ONE_THREAD | LEAN):
        pool = _pool(1)
        pool.submit(os.getpid)  # so that it begins in this environment
        return pool


def _pool(count: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return ProcessPoolExecutor(count, mp_context=context, initializer=_begin)


def done(pool: Executor, calls: Sequence[Callable[[], T]]) -> Iterator[T]:
    """Yield what each call returns, as it comes; an error ends the rest.

    Raises
    ------
    EtlError
        If a worker was killed.
    """
    if isinstance(pool, InProcess):
        yield from (pool.submit(call).result() for call in calls)
        return
    futures = {pool.submit(call) for call in calls}
    waiting = futures
    try:
        while waiting:
            if isinstance(pool, Watched):
                pool.watch()
            # Not for ever: polars' handler of Ctrl-C lets a wait go on as if there had been none.
            ended, waiting = wait(waiting, timeout=TICK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                yield future.result()
    except BrokenProcessPool as error:
        message = "a worker process was killed, perhaps for want of memory: give fewer --workers"
        raise EtlError(message) from error
    finally:
        for future in futures:
            future.cancel()


def _begin() -> None:
    """Leave Ctrl-C and a closed terminal to the parent, and end with it.

    A killed one cannot say that it is gone.
    """
    gc.freeze()  # what a collection visits it writes to, and what was shared is copied
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: os.environ.get(name, value) for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
