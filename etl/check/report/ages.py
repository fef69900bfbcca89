"""How old the newest row of each dataset is, in what is proved and in what is live."""

from collections.abc import Iterator

from etl.check.report.markup import (
    DAY,
    NOTHING,
    Column,
    Markup,
    age,
    code,
    joined,
    paragraph,
    pill,
    section,
    table,
)
from etl.check.report.reading import newest_ms
from etl.check.report.survey import Survey
from etl.when import format_moment
from lake.live import live_datasets, live_files

OLD_MS = 4 * DAY
"""A weekend and a holiday: the Treasury's yields may well be as old as that."""
COLUMNS = (
    Column("dataset", "word"),
    Column("newest", "word"),
    Column("age"),
    Column("live", "word"),
    Column("live age"),
    Column("state", "word"),
)


def ages(found: Survey) -> Markup:
    """Return the section: a row for each dataset, the oldest first."""
    newest = {
        name: max(lasts)
        for name, parts in found.by_dataset.items()
        if (lasts := [one.last_ms for one in parts if one.last_ms is not None])
    }
    live = {name: newest_ms(live_files(found.lake, name)[-1]) for name in live_datasets(found.lake)}
    names = sorted({*newest, *live}, key=lambda name: (_last(newest, live, name), name))
    if not names:
        return section("ages", "Ages", paragraph("No dataset has a row yet."))
    clock = f"Against our own clock, {format_moment(found.now_ms)} UTC."
    lead = joined(
        [
            f"{clock} What a running collector says of itself:",
            code("deribit-lake status --live"),
        ]
    )
    told = table("Ages of datasets", COLUMNS, (_row(found, newest, live, one) for one in names))
    return section("ages", "Ages", paragraph(lead), told)


def _last(newest: dict[str, int], live: dict[str, int], name: str) -> int:
    return max(newest.get(name, 0), live.get(name, 0))


def _row(
    found: Survey, newest: dict[str, int], live: dict[str, int], name: str
) -> Iterator[object]:
    yield name
    for moments in (newest, live):
        ms = moments.get(name)
        yield NOTHING if ms is None else format_moment(ms)
        yield NOTHING if ms is None else age(found.now_ms - ms)
    behind = found.now_ms - _last(newest, live, name)
    is_old = behind > OLD_MS
    yield pill(f"over {age(OLD_MS)} old" if is_old else "recent", is_good=not is_old)
