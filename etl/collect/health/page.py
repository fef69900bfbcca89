"""The page of a collector: the verdict, then what is live and how old, sockets, gaps, disk."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from etl.collect.board import Alarm, Line
from etl.collect.health.ages import KindAges, format_age, format_second
from etl.collect.health.overview import Overview
from etl.collect.health.rates import ALL

FOLDER = Path(__file__).parent
TEMPLATE, STYLE, SCRIPT = (
    FOLDER.joinpath(name).read_text(encoding="utf-8")
    for name in ("page.html", "page.css", "page.js")
)
SHOWN = 12
HEADLINES = {
    "fresh": ("good", "All fresh"),
    "starting": ("warn", "Starting: not every kind of data has come yet"),
    "stopping": ("warn", "Stopping"),
    "blind": ("bad", "Nobody looks at the ages of data"),
}


def page(told: Overview) -> str:
    """Return the page; nothing on it is asked for elsewhere."""
    parts = (
        _verdict(told),
        _kinds(told),
        f'<div class="two">{_sockets(told)}{_state(told)}</div>',
        f'<div class="two">{_gaps(told)}{_past(told)}</div>',
    )
    return Template(TEMPLATE).substitute(style=STYLE, script=SCRIPT, main="".join(parts))


def _verdict(told: Overview) -> str:
    up = format_age(told.now_ms - told.started_ms)
    facts = f"{format_second(told.now_ms)}; up for {up}; deribit-lake {escape(told.version)}"
    if told.verdict == "alarm":
        since = _short(min(alarm.since_ms for alarm in told.alarms))
        many = "1 alarm rings" if len(told.alarms) == 1 else f"{len(told.alarms)} alarms ring"
        look, words = "bad", f"{many}, since {since} UTC"
    else:
        look, words = HEADLINES[told.verdict]
    listed = "".join(f"<li>{_alarm(alarm, told.now_ms)}</li>" for alarm in told.alarms)
    alarms = f"<ul>{listed}</ul>" if listed else ""
    return f'<div class="verdict {look}" id="verdict"><h1>{words}</h1><p>{facts}</p>{alarms}</div>'


def _alarm(alarm: Alarm, now_ms: int) -> str:
    rings = format_age(max(0, now_ms - alarm.rung_ms))
    return f"<b>{escape(alarm.name)}</b>: {escape(alarm.text)}; it rings for {rings}"


def _kinds(told: Overview) -> str:
    head = ("kind", "oldest", "is", "median", "limit", "sources", "1/s", "messages")
    look = ("text", "", "text less", "", "", "", "", "less")
    rows = [_kind(kind, told.rates.get(kind.kind)) for kind in told.kinds]
    rate = told.rates.get(ALL)
    total = "" if rate is None else f"{_rate(rate)} messages/s in all, over the last minute."
    return _section("What is live", _table(head, look, rows, "Nothing is asked for yet."), total)


def _kind(kind: KindAges, rate: float | None) -> list[str]:
    has_limit = kind.limit_ms > 0
    look = "bad" if kind.stale else "good"
    worst = format_age(kind.worst_ms)
    return [
        escape(kind.kind),
        f'<span class="{look}">{worst}</span>' if has_limit else worst,
        escape(kind.worst),
        format_age(kind.median_ms),
        format_age(kind.limit_ms) if has_limit else "none",
        f"{kind.stale:,} of {kind.sources:,} stale" if kind.stale else f"{kind.sources:,}",
        "" if rate is None else _rate(rate),
        f"{kind.messages:,}",
    ]


def _sockets(told: Overview) -> str:
    head = ("socket", "state", "channels", "reconnects", "ended last with")
    look = ("text", "text", "", "", "text long")
    rows = [_socket(line, told.now_ms) for line in told.sockets]
    return _section("Sockets", _table(head, look, rows, "None is open yet."))


def _socket(line: Line, now_ms: int) -> list[str]:
    up_ms = line.up_since_ms
    state = (
        '<span class="bad">down</span>'
        if up_ms is None
        else f'<span class="good">up</span> {format_age(now_ms - up_ms)}'
    )
    return [
        str(line.number),
        state,
        f"{line.channels:,}",
        f"{line.reconnects:,}",
        escape(line.last_end),
    ]


def _gaps(told: Overview) -> str:
    head = ("kind", "from", "for", "filled", "reason")
    look = ("text", "text", "", "text", "text long")
    rows = [_gap(gap) for gap in told.gaps[:SHOWN]]
    return _section("Last gaps", _table(head, look, rows, "None."))


def _gap(gap: Mapping[str, Any]) -> list[str]:
    rows = gap["rows"]
    return [
        escape(gap["kind"]),
        _short(gap["start_ms"]),
        format_age(gap["end_ms"] - gap["start_ms"]),
        '<span class="warn">not yet</span>' if rows is None else f"{rows:,} rows",
        escape(gap["reason"]),
    ]


def _past(told: Overview) -> str:
    head = ("alarm", "rang at", "for", "wrong since")
    rows = [
        [
            escape(alarm.name),
            _short(alarm.rung_ms),
            format_age((alarm.cleared_ms or told.now_ms) - alarm.rung_ms),
            _short(alarm.since_ms),
        ]
        for alarm in told.past_alarms[:SHOWN]
    ]
    look = ("text", "text", "", "text")
    return _section("Alarms that are over", _table(head, look, rows, "None."))


def _state(told: Overview) -> str:
    facts = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in _facts(told))
    return _section("Disk, database, clock", f"<dl>{facts}</dl>")


def _facts(told: Overview) -> Iterator[tuple[str, str]]:
    disk, database, counts = told.disk, told.database, told.counts
    free = disk["free_bytes"]
    yield "Free on disk", "unknown" if free is None else f"{free / 1e9:,.1f} GB"
    yield "Journal", f"the last write waited {format_age(disk['unwritten_ms'] or 0)}"
    yield "Live day written", _ago(disk["published_ms"], told.now_ms)
    yield "Folded up to", _moment(disk["folded_ms"])
    yield "Database", _database(database)
    skew = told.skew_ms
    yield "Our clock", "unknown" if skew is None else f"{skew / 1000:+.2f} s off the exchange's"
    yield "Exchange", "down for maintenance" if told.maintenance else "no maintenance told"
    yield (
        "Received",
        f"{counts.get('messages', 0):,} messages, {counts.get('bytes', 0) / 1e6:,.1f} MB",
    )
    odd = [
        f"{counts[name]:,} {name.replace('_', ' ')}"
        for name in sorted({*counts} - {"messages", "bytes"})
        if counts[name]
    ]
    yield "Counted", escape("; ".join(odd) or "nothing yet")


def _database(database: Mapping[str, Any]) -> str:
    if not database["is_wanted"]:
        return "not wanted"
    if database["behind_ms"]:
        error = f": {escape(database['error'])}" if database["error"] else ""
        return f"{format_age(database['behind_ms'])} behind{error}"
    return f"has all up to {_moment(database['sent_ms'])}"


def _short(ms: int) -> str:
    """Return a moment of this year as 10-18 07:03:11."""
    return format_second(ms)[5:19].replace("T", " ")


def _moment(ms: int | None) -> str:
    return "not yet" if ms is None else format_second(ms)


def _ago(ms: int | None, now_ms: int) -> str:
    return "not yet" if ms is None else f"{format_age(max(0, now_ms - ms))} ago"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:,.2g}"  # noqa: PLR2004  two digits


def _section(title: str, body: str, words: str = "") -> str:
    note = f"<p>{words}</p>" if words else ""
    return f"<section><h2>{title}</h2>{note}{body}</section>"


def _table(
    head: Sequence[str], look: Sequence[str], rows: Sequence[Sequence[str]], empty: str
) -> str:
    if not rows:
        return f"<p>{empty}</p>"
    top = "".join(_cells("th", look, head))
    body = "".join(f"<tr>{''.join(_cells('td', look, row))}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cells(tag: str, look: Sequence[str], cells: Iterable[str]) -> Iterator[str]:
    for classes, cell in zip(look, cells, strict=True):
        yield f'<{tag} class="{classes}">{cell}</{tag}>' if classes else f"<{tag}>{cell}</{tag}>"
