"""How the nightly operations ended last, and whether the database has what the lake has."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from etl.check.report.database import Behind
from etl.check.report.markup import (
    HOUR,
    NOTHING,
    Column,
    Markup,
    age,
    code,
    heading,
    joined,
    paragraph,
    pill,
    section,
    table,
)
from etl.when import format_moment
from lake.errors import CorruptFileError
from lake.operations import MOST_HOURS, Outcome, read_outcome
from lake.paths import Lake

OPERATIONS = {
    "sync": "deribit-lake sync",
    "backup": "deribit-lake backup run",
    "drill": "deribit-lake backup verify",
}
"""The command of each."""
WORDS = {0: "done", 1: "failed", 3: "INCOMPLETE", 4: "UNKNOWN", 130: "stopped", 143: "stopped"}
SHOWN, LONGEST = 12, 120
COLUMNS = (
    Column("operation", "word"),
    Column("ended", "word"),
    Column("ago"),
    Column("took"),
    Column("told", "words"),
    Column("state", "word"),
)
BEHIND = (Column("dataset", "word"), Column("partitions"), Column("state", "word"))


def operations(lake: Lake, behind: Behind | None, now_ms: int) -> Markup:
    """Return the section; an operation that never ran says so."""
    rows = [list(_operation(lake, name, now_ms)) for name in OPERATIONS]
    return section(
        "operations",
        "Operations",
        table("Last runs", COLUMNS, rows),
        heading("Database"),
        *_database(behind),
    )


def _operation(lake: Lake, name: str, now_ms: int) -> Iterator[object]:
    yield name
    try:
        told = read_outcome(lake, name)
    except CorruptFileError as error:
        yield from (NOTHING, NOTHING, NOTHING, str(error), pill("unreadable", is_good=False))
        return
    if told is None:
        never = Markup(f"<span>Run {code(OPERATIONS[name])}</span>")
        yield from (NOTHING, NOTHING, NOTHING, never, pill("never ran", is_good=False))
        return
    ago = now_ms - told.finished_ms
    yield format_moment(told.finished_ms)
    yield age(ago)
    yield age(told.finished_ms - told.started_ms)
    yield "; ".join(_told(told)) or NOTHING
    yield _state(told, is_late=ago > MOST_HOURS[name] * HOUR)


def _state(told: Outcome, *, is_late: bool) -> Markup:
    word = WORDS.get(told.exit_code, f"exit code {told.exit_code}")
    if told.is_good and is_late:
        return pill("long ago", is_good=False)
    return pill(word, is_good=told.is_good)


def _told(outcome: Outcome) -> Iterator[str]:
    if outcome.error:
        yield outcome.error
    for number, (name, value) in enumerate(flat(outcome.summary)):
        if number == SHOWN:
            yield "…"
            return
        yield f"{name.replace('_', ' ')} {value}"


def flat(summary: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the names and values of a summary, those inside others after the name of these."""
    for name, value in summary.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name} ")
        elif isinstance(value, str):
            yield f"{before}{name}", shortened(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name}", f"{value:,}"
        else:
            yield f"{before}{name}", shortened(msgspec.json.encode(value).decode())


def shortened(text: str) -> str:
    """Return a text that is not long."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _database(behind: Behind | None) -> Iterator[Markup]:
    if behind is None:
        yield paragraph("None is set (dsn); whether one has what the lake has is not looked at.")
        return
    if behind.error:
        yield paragraph(joined([pill("no answer", is_good=False), behind.error]))
        return
    short = sum(behind.due.values())
    words = (
        f"{short:,} of {behind.partitions:,} partitions are not as the lake has them:"
        if short
        else f"It has all {behind.partitions:,} partitions as the lake has them."
    )
    state = pill("behind" if short else "up to date", is_good=not short)
    yield paragraph(joined([state, words, *([code("deribit-lake load")] if short else [])]))
    if short:
        rows = (
            [name, f"{due:,}", pill("behind", is_good=False)]
            for name, due in behind.due.items()
            if due
        )
        yield table("What the database lacks", BEHIND, rows)
