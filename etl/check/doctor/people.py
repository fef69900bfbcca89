"""Who runs the program, and who owns a file."""

import os
import pwd
from pathlib import Path


def user() -> str:
    """Return the name of who runs the program; the number of who has none."""
    return _name(os.geteuid())


def owner(path: Path) -> str:
    """Return the name of who owns a file."""
    return _name(path.stat().st_uid)


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
