"""The page of a whole lake: one file, no script in it, and nothing that it would ask for."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from etl.catalog import DATASETS, maker_of
from etl.check.report.ages import ages
from etl.check.report.basis import basis
from etl.check.report.coverage import coverage
from etl.check.report.database import Behind, database_behind
from etl.check.report.dvol import dvol
from etl.check.report.gaps import gaps
from etl.check.report.greeks import greeks
from etl.check.report.markup import (
    Column,
    Markup,
    count,
    html,
    joined,
    paragraph,
    pill,
    section,
    table,
)
from etl.check.report.operations import operations
from etl.check.report.quality import quality
from etl.check.report.sizes import sizes
from etl.check.report.surface import surface
from etl.check.report.survey import Survey, survey
from etl.check.template import STYLE, filled
from etl.config import Settings
from etl.dataset import Dataset, Fetched
from etl.errors import UsageError
from etl.when import clock_ms, format_moment
from lake.errors import LakeError
from lake.paths import Lake

TEMPLATE = Path(__file__).with_name("page.html")
OWN_STYLE = Path(__file__).with_name("page.css")
ABSENT = (Column("dataset", "word"), Column("command", "words"))
LINK = re.compile(r'<section id="([a-z]+)"><h2>([^<]+)</h2>')


def report_page(lake: Lake, settings: Settings, reports: Path) -> str:
    """Return the page of a whole lake.

    Parameters
    ----------
    lake
        The lake; it may be empty.
    settings
        Where the database is, if it is to be asked.
    reports
        Folder of the reports of `quality`.

    Raises
    ------
    CorruptFileError
        If a ledger file cannot be read: then nothing is known. Of other files that cannot be read
        the page says so.
    """
    found = survey(lake, clock_ms())
    behind = database_behind(settings, found.books.held)
    return page_of(found, behind, reports)


def page_of(found: Survey, behind: Behind | None, reports: Path) -> str:
    """Return the page of what was found in a lake."""
    body = joined(_sections(found, behind, reports))
    css = STYLE.read_text(encoding="utf-8") + OWN_STYLE.read_text(encoding="utf-8")
    return filled(
        TEMPLATE,
        title=f"deribit-lake: {found.verdict}",
        css=css,
        policy=_policy(css),
        head=_head(found),
        links="".join(f'<a href="#{name}">{words}</a>' for name, words in LINK.findall(body)),
        sections=body,
    )


def _policy(css: str) -> str:
    """Return what a browser may do with the page: nothing, but apply this one style."""
    digest = b64encode(sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _head(found: Survey) -> Markup:
    whole = sum(one.verdict == "COMPLETE" for one in found.found)
    rows = sum(one.rows for one in found.found)
    facts = (
        f"{whole:,} of {count(len(found.found), 'part')} of "
        f"{count(len(found.by_dataset), 'dataset')} are COMPLETE, with {rows:,} rows."
    )
    made = (
        f"Made {format_moment(found.now_ms)} UTC from {found.lake.root} "
        f"by deribit-lake {version('deribit-lake')}."
    )
    verdict = pill(found.verdict, is_good=found.verdict == "COMPLETE")
    return Markup(f"<h1>The lake is {verdict}</h1>{paragraph(facts)}{paragraph(made)}")


def _sections(found: Survey, behind: Behind | None, reports: Path) -> Iterator[Markup]:
    lake = found.lake
    made: Sequence[tuple[str, str, Callable[[], Markup]]] = (
        ("coverage", "Coverage", lambda: coverage(found)),
        ("gaps", "Gaps", lambda: gaps(found)),
        ("ages", "Ages", lambda: ages(found)),
        ("operations", "Operations", lambda: operations(lake, behind, found.now_ms)),
        ("sizes", "Sizes", lambda: sizes(found)),
        ("quality", "Quality", lambda: quality(reports)),
        ("basis", "Basis of futures", lambda: basis(lake)),
        ("surface", "Volatility surface", lambda: surface(lake)),
        ("dvol", "Volatility index", lambda: dvol(lake)),
        ("greeks", "Greeks against Deribit's", lambda: greeks(lake)),
        ("absent", "Not held", lambda: absent(found)),
    )
    for name, heading, make in made:
        yield _made(name, heading, make)


def _made(name: str, heading: str, make: Callable[[], Markup]) -> Markup:
    """Return a section; where a file cannot be read, one that says so."""
    try:
        return make()
    except (LakeError, UsageError) as error:
        told = joined([pill("not shown", is_good=False), html(error)])
        return section(name, heading, paragraph(told))


def absent(found: Survey) -> Markup:
    """Return the section of what is not held, and which command would bring it."""
    missing = [
        one
        for one in DATASETS.values()
        if one.name not in found.by_dataset and not _is_of_a_resolution(one)
    ]
    if not missing:
        return Markup("")
    rows = ([one.name, Markup(f"<code>{html(maker_of(one).strip('`'))}</code>")] for one in missing)
    return section("absent", "Not held", table("What is not held", ABSENT, rows))


def _is_of_a_resolution(one: Dataset) -> bool:
    """Whether a dataset is another's bars in another length, which few people want."""
    return isinstance(one, Fetched) and one.name.endswith(f"_{one.resolution}")
