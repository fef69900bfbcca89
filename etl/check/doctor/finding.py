"""One thing that was looked at: how it is, what was seen, and what to do."""

from dataclasses import dataclass
from typing import Literal

from etl.check.doctor.known import KNOWN

Level = Literal["ok", "warning", "fault", "not looked at"]
LEVELS: tuple[Level, ...] = ("fault", "warning", "ok", "not looked at")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen of one thing.

    Attributes
    ----------
    code
        What it is called in docs/doctor.md; of what is as it should be, and of what was not looked
        at, only what it is of.
    what
        What was seen, in a line.
    todo
        What to do about it; empty where there is nothing to do.
    details
        More of what was seen, a line each.
    """

    code: str
    level: Level
    what: str
    todo: str = ""
    details: tuple[str, ...] = ()


def found(code: str, what: str, *details: str, **given: object) -> Finding:
    """Return a finding that is known by its code, with what is given put into its cure."""
    known = KNOWN[code]
    return Finding(code, known.level, what, known.cure.format(**given), details)


def well(of: str, what: str, *details: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(of, "ok", what, "", details)


def unseen(of: str, why: str, todo: str = "") -> Finding:
    """Return that something was not looked at."""
    return Finding(of, "not looked at", why, todo)
