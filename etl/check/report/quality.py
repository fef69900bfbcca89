"""What `quality` found last, as far as its reports are still there."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from etl.catalog import DATASETS
from etl.check.quality import REPORTS
from etl.check.report.markup import Column, Markup, code, joined, paragraph, pill, section, table
from lake.errors import CorruptFileError

STATUSES = ("documented", "review", "unexplained")
COLUMNS = (
    Column("dataset", "word"),
    Column("check", "word"),
    *(Column(word) for word in STATUSES),
    Column("written", "word"),
    Column("state", "word"),
)


def quality(folder: Path) -> Markup:
    """Return the section; nothing where a folder has no reports.

    Raises
    ------
    CorruptFileError
        If a report is none.
    """
    rows = list(_rows(folder))
    if not rows:
        return Markup("")
    lead = joined(
        [f"From the reports in {folder}; the checks of today:", code("deribit-lake quality")]
    )
    return section("quality", "Quality", paragraph(lead), table("Findings", COLUMNS, rows))


def _rows(folder: Path) -> Iterator[list[object]]:
    for dataset in DATASETS:
        for check, (name, _) in REPORTS.items():
            path = folder / dataset / name
            if path.is_file():
                counts = findings(path)
                written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                is_good = not counts["unexplained"]
                yield [
                    dataset,
                    check,
                    *(f"{counts[word]:,}" for word in STATUSES),
                    f"{written:%Y-%m-%d %H:%M}",
                    pill("explained" if is_good else "unexplained", is_good=is_good),
                ]


def findings(path: Path) -> dict[str, int]:
    """Return how many findings of each status a report lists.

    Raises
    ------
    CorruptFileError
        If it is no report.
    """
    rows = pl.scan_csv(path, schema_overrides={"status": pl.String}, infer_schema=False)
    try:
        counted = rows.group_by("status").len().collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorruptFileError(path, f"no report of quality: {error}") from error
    return dict.fromkeys(STATUSES, 0) | dict(counted.iter_rows())
