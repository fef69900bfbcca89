"""Every finding that asks for something to be done: how bad it is, where it comes from, its cure.

docs/doctor.md is written from here. What stands in braces is filled in by what was seen.
"""

from etl.check.doctor.cure import Known
from etl.check.doctor.known_machine import DISK, LAKE, PROGRAM, SETTINGS, STORE
from etl.check.doctor.known_services import BACKUP, DATABASE, EXCHANGE, LAST, RUNNING, SHORT

_ITSELF = {
    "check.failed": Known(
        "fault",
        "what looks at a part of the installation stumbled itself; a library is broken, or doctor",
        "see the other findings first; then report it with this line",
    ),
    "check.slow": Known(
        "warning",
        "a part of the installation did not answer in time: a slow disk or network, a hung mount",
        "run `deribit-lake doctor` again; `--offline` leaves out what needs the network",
    ),
}

KNOWN: dict[str, Known] = {
    **PROGRAM,
    **SETTINGS,
    **DISK,
    **STORE,
    **LAKE,
    **EXCHANGE,
    **DATABASE,
    **RUNNING,
    **LAST,
    **SHORT,
    **BACKUP,
    **_ITSELF,
}
"""By code, in the order docs/doctor.md tells of them."""
