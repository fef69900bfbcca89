"""A Dask cluster on loopback: a scheduler and workers, each a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from etl.workers import LEAN, ONE_THREAD

START_S = 120
NONE: Mapping[str, str] = {}


@dataclass
class Cluster:
    """A scheduler, and the workers that were started for it, the dead ones too."""

    folder: Path
    scheduler: subprocess.Popen
    stack: ExitStack
    workers: list[subprocess.Popen] = field(default_factory=list)

    @property
    def file(self):
        return self.folder / "scheduler.json"

    @property
    def address(self):
        return json.loads(self.file.read_text())["address"]

    @property
    def living(self):
        return [worker for worker in self.workers if worker.poll() is None]

    def add(self, count=1, **environment):
        """Start workers of a thread each, and wait until the scheduler knows them."""
        new = [
            _started(
                self.folder, self.stack, "worker", f"--scheduler-file={self.file}",
                "--nthreads=1", "--no-nanny", "--no-dashboard", "--host=127.0.0.1",
                f"--local-directory={self.folder}", **ONE_THREAD, **LEAN, **environment,
            )
            for _ in range(count)
        ]  # fmt: skip
        self.workers += new
        self.wait_for(len(self.living))
        return new

    def wait_for(self, count):
        """Wait until the scheduler knows so many workers, neither more nor fewer."""
        with self.client() as client:
            wait(lambda: len(client.scheduler_info()["workers"]) == count, self.workers)

    def client(self):
        from distributed import Client  # noqa: PLC0415  (a second)

        return Client(self.address, set_as_default=False)


@contextmanager
def cluster(folder, workers, **environment):
    """Yield a cluster; what it says is in files of a folder, which need not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = folder / "scheduler.json"
        words = (f"--scheduler-file={file}", "--port=0", "--host=127.0.0.1", "--no-dashboard")
        one = Cluster(folder, _started(folder, stack, "scheduler", *words, **environment), stack)
        wait(lambda: file.exists() and file.stat().st_size, [one.scheduler])
        if workers:
            one.add(workers)
        yield one


def wait(is_so, processes=()):
    """Wait for something to become true.

    Raises
    ------
    TimeoutError
        If it does not, or a process it takes has ended.
    """
    deadline = time.monotonic() + START_S
    while not is_so():
        ended = [one.args for one in processes if one.poll() is not None]
        if time.monotonic() > deadline or (processes and len(ended) == len(processes)):
            message = f"did not come true; ended: {ended}"
            raise TimeoutError(message)
        time.sleep(0.05)


def _started(folder, stack, what, *words, **environment):
    count = len(list(folder.glob(f"{what}*.log")))
    log = stack.enter_context((folder / f"{what}{count}.log").open("wb"))
    process = subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{what}", *words],
        cwd=folder, env=os.environ | environment, stdout=log, stderr=log,
    )  # fmt: skip
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process
