"""Our unit on a machine: what is asked of it, and how it is told."""

from pathlib import Path

from tests.deploy.machine import Machine

INSTALL = Path(__file__).parents[2] / "deploy" / "install.sh"
PYTHON = Path("/usr/bin/python3")
UNIT = "deribit-lake-collect.service"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/hurried.conf"
SECRETS = "/etc/deribit-lake/environment"
STATE = "/var/lib/deribit-lake"


def shell(machine: Machine, script: str) -> str:
    """Return what a script of bash says that must not fail."""
    done = machine.run("bash", "-c", script)
    assert done.returncode == 0, done.stderr
    return done.stdout


def restarts(machine: Machine) -> int:
    """Return how often systemd started it again on its own."""
    return int(machine.show(UNIT, "NRestarts"))


def journal(machine: Machine, since: float = 0.0) -> str:
    """Return what the journal has on it from a moment on [Unix s]."""
    words = ["--unit", UNIT, "--output=cat", f"--since=@{since:.3f}"]
    return machine.run("journalctl", *words).stdout
