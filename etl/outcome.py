"""How a nightly operation ended: kept in its lake, and told to its check, whichever way it ends."""

import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from etl.errors import EtlError, UsageError
from etl.pings import Check
from etl.when import clock_ms
from lake.errors import LakeError
from lake.operations import Outcome, write_outcome
from lake.paths import Lake
from validators.errors import ValidatorsError

logger = logging.getLogger(__name__)

EXPECTED = (EtlError, LakeError, ValidatorsError)
"""What an operation may fail by; anything else is a bug."""
FAILED, BROKE_OFF = 1, "it broke off"

StopCode = Callable[[], int]
"""Says which exit code a process that is being stopped leaves with."""


def ctrl_c() -> int:
    """Return the exit code of an end by Ctrl-C."""
    return 128 + signal.SIGINT


@dataclass(slots=True)
class Ending:
    """How an operation ended; until that is said, it broke off.

    Attributes
    ----------
    exit_code
        The one the process leaves with.
    error
        Why it is not good, in a line; None where it is.
    summary
        What is kept of what it did.
    told
        What its check is told, where there is no error.
    """

    exit_code: int = FAILED
    error: str | None = BROKE_OFF
    summary: Mapping[str, object] = field(default_factory=dict)
    told: str = ""


@contextmanager
def outcome_kept(
    lake: Lake,
    operation: str,
    check: Check,
    *,
    stop_code: StopCode = ctrl_c,
    usage_code: int = FAILED,
) -> Iterator[Ending]:
    """Keep how the block ended: what it says of that, or the error that ended it.

    Whoever stops an operation does not wait for a ping. `usage_code` is what the process leaves
    with by a UsageError.

    Raises
    ------
    LakeError
        If that cannot be written, unless an error ended the block: then that one counts.
    """
    started_ms, ending, is_stopped = clock_ms(), Ending(), False
    try:
        check.start()
        yield ending
    except KeyboardInterrupt:
        is_stopped = True
        ending.exit_code, ending.error = stop_code(), "interrupted"
        raise
    except EXPECTED as error:
        ending.exit_code = usage_code if isinstance(error, UsageError) else FAILED
        ending.error = str(error)
        raise
    finally:
        outcome = Outcome(
            operation=operation,
            started_ms=started_ms,
            finished_ms=clock_ms(),
            exit_code=ending.exit_code,
            error=ending.error,
            summary=dict(ending.summary),
        )
        try:
            write_outcome(lake, outcome)
        except LakeError as trouble:
            if ending.error is None:
                ending.exit_code, ending.error = FAILED, str(trouble)
                raise
            logger.warning("how the %s ended is not kept: %s", operation, trouble)
        finally:
            if not is_stopped:
                check.end(ending.exit_code, ending.error or ending.told)
