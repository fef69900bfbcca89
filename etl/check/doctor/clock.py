"""The clock of this machine: does something keep it right."""

import ctypes
from collections.abc import Iterator
from pathlib import Path

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.situation import Situation
from etl.check.doctor.systemctl import is_container

UNSYNCHRONISED = 5
"""What adjtimex returns of a clock that nothing keeps right."""
TIMEX_BYTES = 256
SYNCED = Path("/run/systemd/timesync/synchronized")


def look(situation: Situation) -> Iterator[Finding]:
    """Ask the kernel whether its clock is kept right, as timedatectl does."""
    del situation
    if is_container():
        yield unseen("clock", "a container has the clock of its host: look there")
        return
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    if state < 0:
        yield unseen("clock", "the kernel does not say whether its clock is kept right")
    elif state == UNSYNCHRONISED and not SYNCED.exists():
        yield found("clock.unsynchronised", "the kernel says its clock is not synchronised")
    else:
        yield well("clock", "something keeps this machine's clock right")
