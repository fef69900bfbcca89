"""Timers and the collector's unit, as systemd has them."""

import tempfile
from collections.abc import Iterator

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.people import user
from etl.check.doctor.situation import Situation
from etl.check.doctor.systemctl import is_running, show
from etl.when import format_moment

COLLECTOR = "deribit-lake-collect.service"
SYNC = "deribit-lake-sync"
TIMERS = (SYNC, "deribit-lake-backup", "deribit-lake-drill")
OF_UNIT = ("LoadState", "UnitFileState", "ActiveState", "Environment")
MOMENTS = ("LastTriggerUSec", "NextElapseUSecRealtime")
OF_TIMER = ("LoadState", "UnitFileState", "ActiveState", *MOMENTS)
OF_SERVICE = ("Result", "ActiveState", "ExecMainStatus")
SHORT = ("3", "4")
"""Exit codes of an operation that ran, and whose verdict is not COMPLETE."""


def look(situation: Situation) -> Iterator[Finding]:
    """Look at each timer, and at the collector's unit."""
    if not is_running():
        yield unseen("timers", "no systemd runs here")
        return
    collector = show(COLLECTOR, OF_UNIT)
    if not collector:
        yield unseen("timers", f"systemd does not answer {user()}", "run doctor as root")
        return
    timers = {name: show(f"{name}.timer", OF_TIMER) for name in TIMERS}
    held = [name for name, told in timers.items() if told.get("LoadState") == "loaded"]
    if not held and collector.get("LoadState") != "loaded":
        yield unseen("timers", "no unit of deribit-lake is installed", "deploy/install.sh")
        return
    has_repository = situation.settings.backup.repository is not None
    for name, told in timers.items():
        yield _of_timer(name, told, is_wanted=name == SYNC or has_repository)
        if name in held:
            yield from _of_service(name)
    yield from _of_collector(collector)


def _of_timer(name: str, told: dict[str, str], *, is_wanted: bool) -> Finding:
    unit = f"{name}.timer"
    if told.get("LoadState") != "loaded":
        return found("timer.missing", f"{unit} is {told.get('LoadState', 'not known to systemd')}")
    enabled, active = told["UnitFileState"], told["ActiveState"]
    if enabled != "enabled" or active != "active":
        if not is_wanted:
            return unseen("timers", f"{unit} is {enabled}: no repository is set")
        return found("timer.disabled", f"{unit} is {enabled} and {active}", unit=unit)
    last, following = (_moment(told.get(key, "")) for key in MOMENTS)
    return well("timers", f"{unit} ran {last or 'never yet'}, next {following or 'unknown'}")


def _of_service(name: str) -> Iterator[Finding]:
    """Say that what a timer starts failed; that its verdict is not COMPLETE, operations says."""
    service = f"{name}.service"
    told = show(service, OF_SERVICE)
    result = told.get("Result", "success")
    if result != "success" and told.get("ExecMainStatus") not in SHORT:
        what = f"{service} ended with {result} (status {told.get('ExecMainStatus')})"
        yield found("timer.failed", what, service=service)


def _of_collector(told: dict[str, str]) -> Iterator[Finding]:
    if told.get("LoadState") != "loaded":
        return
    state = f"{told['UnitFileState']} and {told['ActiveState']}"
    if told["ActiveState"] == "active":
        yield well("collector", f"{COLLECTOR} is {state}")
        yield from _apart(told["Environment"])
    elif told["UnitFileState"] == "enabled":
        yield found("collector.down", f"{COLLECTOR} is {state}")
    else:
        yield unseen("collector", f"{COLLECTOR} is {state}", f"systemctl enable --now {COLLECTOR}")


def _apart(environment: str) -> Iterator[Finding]:
    """Say where commands and the collector count their credits in different places."""
    pairs = dict(pair.partition("=")[::2] for pair in environment.split())
    folder = pairs.get("TMPDIR", tempfile.gettempdir())
    if folder != tempfile.gettempdir():
        what = f"the collector counts them in {folder}, this command in {tempfile.gettempdir()}"
        yield found("credits.apart", what, folder=folder)


def _moment(told: str) -> str:
    """Return a moment that systemd tells in Unix seconds; nothing where it tells none."""
    seconds = told.removeprefix("@").partition(".")[0]
    return format_moment(int(seconds) * 1_000) if seconds.isdigit() and int(seconds) else ""
