"""Look at every part of an installation, side by side, each within its time."""

import importlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from etl.check.doctor.finding import Finding, found, unseen
from etl.check.doctor.situation import Situation
from lake.errors import RefusedByStoreError, UnreachableStoreError

Need = Literal["settings", "network", "lake"]
Function = Callable[[Situation], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One part of an installation: the module that looks at it, and how long that may take [s].

    Modules are imported by their names: where a library is missing, the other checks run.
    """

    name: str
    seconds: float = 8.0
    needs: frozenset[Need] = frozenset({"settings"})
    may_be_deep: bool = False


NETWORK: frozenset[Need] = frozenset({"settings", "network"})
LAKE: frozenset[Need] = frozenset({"settings", "lake"})
"""The lake may lie in a bucket, which the network leads to."""
STORE = "store"
CHECKS = (
    Check("programs", needs=frozenset()),
    Check("setup", needs=frozenset()),
    Check("disk"),
    Check("tree"),
    Check(STORE, needs=LAKE),
    Check("work"),
    Check("integrity", needs=LAKE, may_be_deep=True),
    Check("exchange", needs=NETWORK),
    Check("clock", needs=frozenset()),
    Check("credit"),
    Check("database", needs=NETWORK),
    Check("units"),
    Check("collector"),
    Check("operations", needs=LAKE),
    Check("repository"),
)


@dataclass
class _Look:
    """A check at work: what it has found so far."""

    check: Check
    findings: list[Finding] = field(default_factory=list)
    failure: str = ""
    thread: threading.Thread | None = None


def examine(situation: Situation, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """Return what is found of each part, in their order; nothing is raised, and nothing waited for.

    A check that hangs is left behind when its time is over: it ends with the process.
    """
    started = time.monotonic()
    looks = [_begin(check, situation) for check in checks]
    findings: list[Finding] = []
    for look in looks:
        if look.thread is not None:
            left = max(0.0, look.check.seconds - (time.monotonic() - started))
            is_endless = situation.is_deep and look.check.may_be_deep
            look.thread.join(None if is_endless else left)
            if look.thread.is_alive():
                look.findings.append(_slow(look.check))
        findings += list(look.findings)
    return [_clean(one, situation) for one in [*findings, *_failures(looks)]]


def _begin(check: Check, situation: Situation) -> _Look:
    look = _Look(check)
    if "network" in check.needs and situation.is_offline:
        look.findings.append(unseen(check.name, "--offline"))
    elif "settings" in check.needs and situation.given is None:
        why = "no settings can be read"
        look.findings.append(unseen(check.name, why))
    elif "lake" in check.needs and situation.is_offline and situation.is_in_bucket:
        look.findings.append(unseen(check.name, "--offline, and the lake lies in a bucket"))
    elif (function := _imported(look)) is not None:
        work = (look, function, situation)
        look.thread = threading.Thread(target=_run, args=work, daemon=True)
        look.thread.start()
    return look


def _imported(look: _Look) -> Function | None:
    """Return what looks, None where its module cannot be imported.

    One after the other: in two threads at once, a second one sees half of what broke in the first.
    """
    try:
        module = importlib.import_module(f"etl.check.doctor.{look.check.name}")
    except Exception as error:  # noqa: BLE001  (a library may raise anything)
        look.failure = _told(error)
        return None
    function: Function = module.look
    return function


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _run(look: _Look, function: Function, situation: Situation) -> None:
    is_of_lake = "lake" in look.check.needs and look.check.name != STORE
    if is_of_lake and situation.is_in_bucket and (why := situation.silence):
        look.findings.append(unseen(look.check.name, why))
        return
    try:
        for finding in function(situation):
            look.findings.append(finding)
    except (RefusedByStoreError, UnreachableStoreError) as error:  # the store's own check tells it
        look.findings.append(unseen(look.check.name, str(error)))
    except Exception as error:  # noqa: BLE001  (whatever it is, it is a finding)
        look.failure = _told(error)


def _failures(looks: Sequence[_Look]) -> Iterator[Finding]:
    """Yield what checks stumbled over, once for all that stumbled over the same."""
    for failure in dict.fromkeys(look.failure for look in looks if look.failure):
        names = ", ".join(look.check.name for look in looks if look.failure == failure)
        yield found("check.failed", f"{names}: {failure}")


def _slow(check: Check) -> Finding:
    return found("check.slow", f"{check.name}: no answer within {check.seconds:g} s")


def _clean(finding: Finding, situation: Situation) -> Finding:
    return replace(
        finding,
        what=situation.censor(finding.what),
        todo=situation.censor(finding.todo),
        details=tuple(map(situation.censor, finding.details)),
    )
