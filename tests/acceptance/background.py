"""A command in the background of a script: such a shell starts it with Ctrl-C ignored."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.command import ROOT

SCRIPT = '"$@" & echo $!; wait $!; echo "left with $?"'


@dataclass
class Background:
    """A running command: its pid, and the script that waits for it."""

    pid: int
    script: subprocess.Popen

    def stop(self, number=signal.SIGTERM):
        """Return its exit code, the seconds it took to leave, and what it said on stderr."""
        started = time.monotonic()
        os.kill(self.pid, number)
        out, err = self.script.communicate(timeout=30)
        return int(out.split()[-1]), time.monotonic() - started, err

    def left_behind(self):
        """Return which processes of its session are still there a moment later."""
        for _ in range(40):
            if not (found := session(self.script.pid)):
                break
            time.sleep(0.05)
        return found


def session(leader):
    """The processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(number) == leader and state != "Z":
            found.append(path.parent.name)
    return found


@contextmanager
def in_background(product, *words):
    """Run a command of a product as a script's `… &`, in a session of its own."""
    script = subprocess.Popen(
        ["/bin/sh", "-c", SCRIPT, "sh", *product.command(*words)],
        cwd=ROOT,
        env=product.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    with script:
        pid = int(script.stdout.readline())
        try:
            yield Background(pid, script)
        finally:
            for left in session(script.pid):
                os.kill(int(left), signal.SIGKILL)
