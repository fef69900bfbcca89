"""The folder of this machine for work on a lake in a bucket: can it be written, whose journals."""

import os
from collections.abc import Iterator
from pathlib import Path

from etl.check.doctor.disk import existing
from etl.check.doctor.finding import Finding, found, well
from etl.check.doctor.people import owner, user
from etl.check.doctor.situation import Situation

JOURNALS = "journal/*.arrow"


def look(situation: Situation) -> Iterator[Finding]:
    """Look at the folder; a lake on a disk is its own."""
    if not situation.is_in_bucket:
        return
    here = situation.here
    there = existing(here)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = f"{there} is no folder that {user()} may write: it is of {owner(there)}"
        yield found("work.unwritable", what, folder=here.parent, user=user())
        return
    yield well("work", f"{here} is for what cannot lie in the bucket")
    if others := sorted(_with_journals(here)):
        names = ", ".join(path.name for path in others)
        count = f"{len(others)} folder{'s' * (len(others) > 1)} beside it"
        yield found("work.journals", f"{count}: {names}", folder=here.parent)


def _with_journals(here: Path) -> Iterator[Path]:
    """Yield the folders of other lakes that hold what was received and not brought there."""
    for path in here.parent.iterdir() if here.parent.is_dir() else ():
        if path != here and any(path.glob(JOURNALS)):
            yield path
