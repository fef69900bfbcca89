"""A machine with a systemd of its own, beside the one the tests run on, and gone after them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BOOT = Path(__file__).with_name("boot.sh")
NEEDED = ("unshare", "nsenter", "pivot_root", "setpriv", "systemctl")
SPACES = ("--mount", "--pid", "--cgroup", "--uts", "--ipc")
PATIENCE = 20.0
"""Seconds it may take to boot; 0.5 on two cores."""


class CannotBootError(Exception):
    """No systemd can run here."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no systemd can run here: {reason}")


@dataclass(frozen=True)
class Machine:
    """What runs there: `init` is the number of its first process, as seen from here."""

    init: int

    def run(self, *command: object, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as root of the machine, in its root folder."""
        inside = ["nsenter", f"--target={self.init}", *SPACES, "--root", "--wd", "--"]
        words = [*inside, *map(str, command)]
        return subprocess.run(words, input=given, capture_output=True, text=True, check=False)

    def write(self, path: str, text: str) -> None:
        """Write a file there, and the folders above it."""
        script = 'mkdir -p "$(dirname "$0")" && cat > "$0"'
        assert self.run("bash", "-c", script, path, given=text).returncode == 0

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()


@contextmanager
def booted(folder: Path, root: Path = Path("/")) -> Iterator[Machine]:
    """Boot a machine that ends with the block.

    Parameters
    ----------
    folder : Path
        An empty folder, on which it mounts what it writes; here it stays empty.
    root : Path
        The files it starts with, which it leaves as they are: those of this machine, or a folder.

    Raises
    ------
    CannotBootError
        If this machine does not allow it, or lacks what it takes.
    """
    if os.geteuid() != 0:
        reason = "only root can boot it"
        raise CannotBootError(reason)
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking or not (root / "lib/systemd/systemd").exists():
        reason = f"lacking: {' '.join(lacking) or 'systemd'}"
        raise CannotBootError(reason)
    group = _cgroup()
    command = ["unshare", *SPACES, "--fork", "--kill-child", str(BOOT), str(folder)]
    command += [] if root == Path("/") else [str(root)]
    with (folder.with_suffix(".log")).open("w+") as said:
        entered = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        ends_with_us = ["setpriv", "--pdeathsig=KILL", "--"]
        words = [*ends_with_us, "bash", "-c", entered, str(group), *command]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            yield _running(process, Path(said.name))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            _remove(group)


def until(holds: Callable[[], object], seconds: float) -> bool:
    """Say whether something comes to hold in a time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _cgroup() -> Path:
    """Make a group for it below our own: a systemd takes what it starts in for all there is."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    mount = re.search(r"^(?:\S+ ){4}(\S+) .* - cgroup2 ", mounts, re.MULTILINE)
    own = re.search(
        r"^0::(.*)$", Path("/proc/self/cgroup").read_text(encoding="utf-8"), re.MULTILINE
    )
    if mount is None or own is None:
        reason = "no cgroup2 is mounted"
        raise CannotBootError(reason)
    group = Path(mount[1] + own[1]) / f"deribit-lake-{os.getpid()}"
    try:
        group.mkdir(exist_ok=True)
    except OSError as error:
        raise CannotBootError(str(error)) from error
    return group


def _running(process: subprocess.Popen[bytes], log: Path) -> Machine:
    """Return the machine as soon as its systemd says that it runs."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def is_up() -> bool:
        if process.poll() is not None:
            return True
        machine = Machine(int((children.read_text() or "0").split()[0]))
        return machine.init > 0 and _state(machine) in {"running", "degraded"}

    if not until(is_up, PATIENCE) or process.poll() is not None:
        raise CannotBootError(log.read_text() or f"not up in {PATIENCE:.0f} s")
    return Machine(int(children.read_text().split()[0]))


def _state(machine: Machine) -> str:
    return machine.run("systemctl", "is-system-running").stdout.strip()


def _remove(group: Path) -> None:
    """Remove a group whose processes are dying."""

    def is_gone() -> bool:
        for path in sorted(group.rglob("*/"), reverse=True):
            _try_rmdir(path)
        _try_rmdir(group)
        return not group.exists()

    if not until(is_gone, PATIENCE):
        print(f"left behind: {group}", file=sys.stderr)  # noqa: T201


def _try_rmdir(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        return  # still busy: the caller tries again
