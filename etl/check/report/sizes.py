"""What a lake takes: rows and bytes of each dataset and year, and of what lies beside them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from etl.backup.frozen import FOLDER as BACKUP
from etl.check.report.growth import growth
from etl.check.report.markup import (
    Column,
    Markup,
    count,
    folded,
    heading,
    paragraph,
    section,
    size,
    table,
)
from etl.check.report.survey import Survey
from lake.partition import Partition
from lake.paths import EMPTY, TOPS
from lake.span import is_period
from lake.store.files import entries, folders
from lake.store.place import Place

BESIDES = {
    "raw": "answers of the exchange, byte for byte",
    "live": "days that are still being collected",
    "journal": "messages of sockets that are not folded yet",
    "ledger": "what is known of every partition",
    "quarantine": "rows that broke their contract",
    "operations": "how the last runs ended",
    BACKUP: "what a backup or a drill is made of while it runs; links are not counted",
    EMPTY: "files without rows, which DuckDB files of the lake lean on",
}
"""Folders of a lake beside those of published rows."""
DATASETS = (
    Column("dataset", "word"),
    Column("rows"),
    Column("files"),
    Column("bytes"),
    Column("a row"),
    Column("share"),
)
YEARS = (Column("year", "word"), Column("rows"), Column("files"), Column("bytes"))
FOLDERS = (Column("folder", "word"), Column("holds", "words"), Column("files"), Column("bytes"))


class Size(NamedTuple):
    """Rows, files and bytes; they add up."""

    rows: int = 0
    files: int = 0
    bytes: int = 0

    def plus(self, other: "Size") -> "Size":
        """Return the sum of both."""
        return Size(self.rows + other.rows, self.files + other.files, self.bytes + other.bytes)


class File(NamedTuple):
    """A published file, with the rows its ledger counts; 0 where it has none."""

    partition: Partition
    rows: int
    bytes: int


def sizes(found: Survey) -> Markup:
    """Return the section: datasets, years, folders, and how all that grows."""
    files = list(published(found))
    besides = _besides(found.lake.root)
    if not files and not besides:
        return section("sizes", "Sizes", paragraph("The lake is empty."))
    by_dataset = by_year(files)
    whole = total(size for years in by_dataset.values() for size in years.values())
    rest = sum(one.bytes for one in besides.values())
    lead = f"{size(whole.bytes)} of published rows and {size(rest)} beside them."
    everything = whole.bytes + rest
    return section(
        "sizes",
        "Sizes",
        paragraph(lead),
        _datasets(by_dataset, everything),
        *(_years(name, years) for name, years in sorted(by_dataset.items()) if len(years) > 1),
        heading("Beside the published rows"),
        table("Folders", FOLDERS, (_folder(name, one) for name, one in sorted(besides.items()))),
        growth(found, files, everything / max(whole.bytes, 1)),
    )


def published(found: Survey) -> Iterator[File]:
    """Yield the published files, whoever vouches for them; one that just went is none."""
    for (dataset, part), paths in found.books.files.items():
        for path in paths:
            if is_period(path.stem) and (bytes_ := _bytes(path)) is not None:
                partition = Partition(dataset, part, path.stem)
                record = found.books.held.get(partition)
                yield File(partition, record.rows if record else 0, bytes_)


def by_year(files: list[File]) -> Mapping[str, Mapping[str, Size]]:
    """Return sizes by dataset and year; a file that is of no year is of `all`."""
    found: dict[str, dict[str, Size]] = defaultdict(lambda: defaultdict(Size))
    for one in files:
        years = found[one.partition.dataset]
        year = one.partition.period.partition("-")[0]
        years[year] = years[year].plus(Size(one.rows, 1, one.bytes))
    return found


def total(some: Iterator[Size]) -> Size:
    """Return the sum of some sizes."""
    whole = Size()
    for one in some:
        whole = whole.plus(one)
    return whole


def _datasets(by_dataset: Mapping[str, Mapping[str, Size]], everything: int) -> Markup:
    sums = {name: total(iter(years.values())) for name, years in by_dataset.items()}
    ordered = sorted(sums, key=lambda name: -sums[name].bytes)
    return table(
        "Sizes of datasets", DATASETS, (_dataset(name, sums[name], everything) for name in ordered)
    )


def _dataset(name: str, one: Size, everything: int) -> list[object]:
    a_row = f"{one.bytes / one.rows:,.1f} B" if one.rows else "-"
    share = f"{100 * one.bytes / max(everything, 1):.1f} %"
    return [name, f"{one.rows:,}", f"{one.files:,}", size(one.bytes), a_row, share]


def _years(name: str, years: Mapping[str, Size]) -> Markup:
    rows = (
        [year, f"{one.rows:,}", f"{one.files:,}", size(one.bytes)]
        for year, one in sorted(years.items(), reverse=True)
    )
    told = count(len(years), "year")
    return folded(f"{name}, {told}", table(f"{name} by year", YEARS, rows))


def _folder(name: str, one: Size) -> list[object]:
    return [name, BESIDES.get(name, "not of the lake itself"), f"{one.files:,}", size(one.bytes)]


def _besides(root: Place) -> dict[str, Size]:
    """Return files and bytes of what lies in the lake's other folders."""
    found: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for top in (name for name in folders(root) if name not in TOPS):
        for one in entries(root / top):
            if top != BACKUP or not _is_linked(root / top / one.name):
                found[top] += one.size
                files[top] += 1
    return {name: Size(0, files[name], found[name]) for name in files}


def _bytes(path: Place) -> int | None:
    """Return the size of a file; None where another process took it away meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _is_linked(path: Place) -> bool:
    """Whether a file has another name; one that another process took away meanwhile has none."""
    try:
        return isinstance(path, Path) and path.stat().st_nlink > 1
    except FileNotFoundError:
        return False
