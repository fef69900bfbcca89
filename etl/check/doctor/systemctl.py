"""What systemd says of units; nothing where it does not run."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

BOOTED = Path("/run/systemd/system")
SECONDS = 5
MARKS: tuple[str, ...] = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")


def is_container() -> bool:
    """Whether this is a container rather than a machine."""
    return any(Path(mark).exists() for mark in MARKS)


def is_running() -> bool:
    """Whether this machine was booted by systemd, and it can be asked."""
    return BOOTED.is_dir() and shutil.which("systemctl") is not None


def show(unit: str, properties: Sequence[str]) -> dict[str, str]:
    """Return properties of a unit; empty where systemd does not answer."""
    command = ["systemctl", "show", unit, f"--property={','.join(properties)}", "--timestamp=unix"]
    done = subprocess.run(  # noqa: S603  (our own words)
        command, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    if done.returncode:
        return {}
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs}
