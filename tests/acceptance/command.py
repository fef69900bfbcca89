"""The command line as a user runs it: a process of its own, on a lake in a folder of its own."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


FROM_A_TERMINAL = ("env", "--default-signal=INT,HUP")
"""Before a command: it hears what nohup or a script's background would have it ignore."""


@dataclass(frozen=True)
class Product:
    """`deribit-lake` with its lake and its exchange."""

    lake: Path
    host: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self):
        logs = {"DERIBIT_LAKE_LOG_DIR": str(self.lake.parent / "logs")}
        bucket = {"TMPDIR": str(self.lake.parent)}  # a bucket of its own
        return {**os.environ, **logs, **bucket, **dict(self.settings)}

    def command(self, *words):
        flags = ["--lake", str(self.lake), "--host", self.host]
        return [sys.executable, "-m", "cli", *flags, *map(str, words)]

    def start(self, *words):
        return subprocess.Popen(
            self.command(*words),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *words):
        return subprocess.run(
            self.command(*words),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run_measured(self, *words):
        """Run a command; return what it ended with and its peak memory [MB]."""
        watched = [sys.executable, "-m", "tests.acceptance.peak", *self.command(*words)]
        done = subprocess.run(
            watched, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        told, _, peak = done.stderr.rpartition("peak MB ")
        done.stderr = told
        return done, float(peak)


def digests(lake, top="clean"):
    """Return the digest of every file under a part of the lake, by its path."""
    return {
        str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((lake / top).glob("**/*.parquet"))
    }
