"""Pieces of HTML that the page of a lake is made of: whatever is not `Markup` is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal, NamedTuple

Look = Literal["word", "number", "words"]
"""A short word, a number, or what may be long."""
NOTHING = "-"
UNITS = ("B", "kB", "MB", "GB", "TB")
STEP = 1000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


class Markup(str):
    """HTML, that stands in a page as it is."""

    __slots__ = ()


class Column(NamedTuple):
    """A column of a table."""

    label: str
    look: Look = "number"


def html(value: object) -> Markup:
    """Return a value as HTML: escaped, unless it is HTML already."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def joined(parts: Iterable[object]) -> Markup:
    """Return some pieces one after the other."""
    return Markup("\n".join(html(part) for part in parts))


def section(name: str, heading: str, *parts: object) -> Markup:
    """Return a section of the page, that links can lead to."""
    body = joined(parts)
    return Markup(f'<section id="{escape(name)}"><h2>{escape(heading)}</h2>\n{body}\n</section>')


def paragraph(words: object) -> Markup:
    """Return a paragraph."""
    return Markup(f"<p>{html(words)}</p>")


def heading(words: object) -> Markup:
    """Return a heading inside a section."""
    return Markup(f"<h3>{html(words)}</h3>")


def folded(words: object, *parts: object) -> Markup:
    """Return what is seen when it is unfolded."""
    return Markup(f"<details><summary>{html(words)}</summary>{joined(parts)}</details>")


def pill(words: str, *, is_good: bool) -> Markup:
    """Return a verdict, which its word tells and its colour underlines."""
    return Markup(f'<span class="{"good" if is_good else "bad"}">{escape(words)}</span>')


def code(words: str) -> Markup:
    """Return words as they are typed."""
    return Markup(f"<code>{escape(words)}</code>")


def table(
    caption: str, columns: Sequence[Column], rows: Iterable[Iterable[object]], *, wide: bool = False
) -> Markup:
    """Return a table whose first cells are headings of their rows; on a phone each row is a card.

    A wide one stays a table there, and is moved sideways by itself.
    """
    head = "".join(
        f'<th scope="col" class="{one.look}">{escape(one.label)}</th>' for one in columns
    )
    body = "".join(f"<tr>{_cells(columns, row)}</tr>\n" for row in rows)
    look = "grid" if wide else "cards"
    told = (
        f'<table class="{look}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"
    )
    label = escape(caption)
    around = (
        f'<div><p class="caption">{label}</p>'
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}">{told}</div></div>'
    )
    return Markup(around if wide else told)


def _cells(columns: Sequence[Column], row: Iterable[object]) -> str:
    cells = []
    for number, (column, value) in enumerate(zip(columns, row, strict=True)):
        tag, scope = ("td", "") if number else ("th", ' scope="row"')
        label = f' data-label="{escape(column.label)}"'
        cells.append(f'<{tag}{scope} class="{column.look}"{label}>{html(value)}</{tag}>')
    return "".join(cells)


def size(count: float) -> str:
    """Return a number of bytes for people."""
    unit = 0
    while count >= STEP and unit < len(UNITS) - 1:
        count, unit = count / STEP, unit + 1
    digits = 0 if unit == 0 or count >= 100 else 1  # noqa: PLR2004  three digits are enough
    return f"{count:,.{digits}f} {UNITS[unit]}"


def age(ms: float) -> str:
    """Return a stretch of time for people, in the one unit that suits it."""
    units = ((DAY, "days"), (HOUR, "h"), (MINUTE, "min"))
    unit, word = next((one for one in units if abs(ms) >= 2 * one[0]), (SECOND, "s"))
    return f"{ms / unit:,.0f} {word}"


def count(number: int, word: str) -> str:
    """Return how many there are of something that takes an s."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
