"""The files of a machine that was just installed: Debian's packages in a folder."""

import shutil
import subprocess
from pathlib import Path

from tests.deploy.machine import CannotBootError

PACKAGES = "systemd,systemd-sysv,ca-certificates,python3,python3-venv,restic,postgresql-client"
UBUNTU = "ubuntu"
LIKE_UBUNTU = """\
PRETTY_NAME="Ubuntu 24.04.3 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
"""
"""What Ubuntu says of itself; its packages are another archive's, so the rest is Debian 13's."""


def made(suite: str, roots: Path) -> Path:
    """Return a folder of that suite, made where there is none; ``ubuntu`` has Debian 13's files.

    It holds a minimal Debian and what docs/operations.md has installed first, and nothing of this
    machine. Some 400 MB; a minute or two.

    Raises
    ------
    CannotBootError
        If it cannot be made.
    """
    name = "trixie" if suite == UBUNTU else suite
    root = roots / name
    if not (root / "complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        roots.mkdir(parents=True, exist_ok=True)
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}"]
        try:
            done = subprocess.run(
                [*command, name, str(root)], capture_output=True, text=True, check=False
            )
        except OSError as error:
            reason = "no mmdebstrap: apt-get install mmdebstrap"
            raise CannotBootError(reason) from error
        if done.returncode:
            raise CannotBootError((done.stderr.strip() or "mmdebstrap failed").splitlines()[-1])
        (root / "complete").touch()
    return root
