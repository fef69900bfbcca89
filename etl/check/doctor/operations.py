"""How sync, backup and the drill of a restore ended last, and how long ago."""

from collections.abc import Iterator

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.situation import Situation
from etl.when import format_moment
from lake.errors import CorruptFileError
from lake.operations import MOST_HOURS, Outcome, read_outcome

HOUR_MS = 3_600_000
SHORT, MAY_BE_SHORT = (3, 4), ("sync", "backup")
"""Exit codes of a run that did its work, and not all of it; a drill that differs has failed."""


def look(situation: Situation) -> Iterator[Finding]:
    """Look at the last run of each."""
    if not situation.lake.root.is_dir():
        yield unseen("operations", "there is no lake that says how they ended")
        return
    for name, hours in MOST_HOURS.items():
        try:
            last = read_outcome(situation.lake, name)
        except CorruptFileError as error:
            yield found(f"{name}.failed", f"{name}: {error}")
            continue
        if last is not None:
            yield _of_run(last, situation.now_ms, hours * HOUR_MS)
        elif is_wanted(situation, name):
            yield found(f"{name}.never", f"{name} is set up, and has not run yet")
        else:
            yield unseen(name, "it never ran, and nothing in the settings asks for it")


def is_wanted(situation: Situation, name: str) -> bool:
    """Whether the settings ask for an operation: `sync` by [keep], the others by a repository."""
    if name == "sync":
        sources = situation.sources
        return sources is not None and sources.has_table("keep")
    return situation.settings.backup.repository is not None


def _of_run(last: Outcome, now_ms: int, limit_ms: int) -> Finding:
    name, age_ms = last.operation, now_ms - last.finished_ms
    ended = f"{name} ended {format_moment(last.finished_ms)}, {_span(age_ms)} ago"
    if age_ms > limit_ms:
        return found(f"{name}.old", f"{ended}; {_span(limit_ms)} are the limit")
    because = f": {last.error}" if last.error else ""
    if last.exit_code in SHORT and name in MAY_BE_SHORT:
        return found(f"{name}.short", f"{ended} (exit code {last.exit_code}){because}")
    if not last.is_good:
        return found(f"{name}.failed", f"{ended} (exit code {last.exit_code}){because}")
    return well(name, f"{ended}, after {_span(last.finished_ms - last.started_ms)}")


def _span(ms: int) -> str:
    hours = ms / HOUR_MS
    if hours >= 48:  # noqa: PLR2004  (two days)
        return f"{hours / 24:.0f} days"
    return f"{hours:.0f} h" if hours >= 1 else f"{ms / 60_000:.0f} min"
