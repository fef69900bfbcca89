"""Commands that work on the lake alone: status, quality, replay, verify, query, sql, report."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from etl.commands.options import (
    ERROR,
    AsJson,
    DatasetName,
    Wait,
    print_json,
    print_status,
    reporting,
    settings_of,
)

app = typer.Typer()


class Source(StrEnum):
    """Where a table lies."""

    lake = "lake"
    db = "db"


class Format(StrEnum):
    """How a query's answer is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.command()
def status(context: typer.Context, dataset: DatasetName = None, as_json: AsJson = False) -> None:
    """Say what is held, what is missing and why, with a verdict; the exit code says it too.

    Example: deribit-lake status --json
    """
    from etl.check.status import statuses
    from etl.datasets import find_dataset
    from lake.paths import open_lake

    name = find_dataset(dataset).name if dataset else None
    print_status(statuses(open_lake(settings_of(context).root), name), as_json=as_json)


@app.command()
def quality(
    context: typer.Context,
    table: Annotated[str, typer.Option(help="Dataset to check.")] = "perpetuals_ohlcv",
    source: Annotated[Source, typer.Option("--from", help="Where it lies.")] = Source.lake,
    gap_minutes: Annotated[float, typer.Option(help="Longest gap that is no finding.")] = 5.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the reports; default: reports/TABLE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check gaps, sanity, outliers and fillers; write the findings as CSV.

    Example: deribit-lake quality --table perpetuals_ohlcv --gap-minutes 5
    """
    from etl.check.quality import check_lake, summary

    settings, out_dir = settings_of(context), out or Path("reports") / table
    if source is Source.db:
        from etl.check.quality_database import check_database

        found = check_database(settings, table, gap_minutes=gap_minutes, out_dir=out_dir)
    else:
        found = check_lake(settings, table, gap_minutes=gap_minutes, out_dir=out_dir)
    if as_json:
        print_json(found)
    else:
        typer.echo(summary(found))
    raise typer.Exit(0 if found.ok else ERROR)


@app.command()
def replay(context: typer.Context, dataset: DatasetName = None, wait: Wait = False) -> None:
    """Rebuild clean data, quarantine and ledger from raw alone, offline.

    Example: deribit-lake replay --dataset perpetuals_ohlcv
    """
    from etl.backfill.replay import replay as rebuild
    from etl.datasets import DATASETS, FUNDING, find_dataset
    from etl.index_prices import publish_index_prices
    from lake.paths import open_lake

    settings = settings_of(context)
    chosen = [find_dataset(dataset)] if dataset else list(DATASETS.values())
    with reporting(settings):
        rebuilt = rebuild(settings, chosen, wait=wait)
        if FUNDING in chosen:
            rebuilt += publish_index_prices(open_lake(settings.root), wait=wait)
    rows = sum(record.rows for _, record in rebuilt)
    typer.echo(f"rebuilt {len(rebuilt)} partitions, {rows:,} rows")


@app.command()
def verify(
    context: typer.Context,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Move corrupt files aside.")
    ] = False,
) -> None:
    """Read every file of the lake and hold it against the ledger.

    Example: deribit-lake verify --quarantine
    """
    from lake.paths import open_lake
    from lake.verify import set_aside
    from lake.verify import verify as examine

    lake = open_lake(settings_of(context).root)
    faults = list(examine(lake))
    for fault in faults:
        moved = f"; moved to {set_aside(lake, fault)}" if quarantine and fault.is_corrupt else ""
        typer.echo(f"{fault.reason}{moved}")
    typer.echo(f"{len(faults)} faults in {lake.root}")
    raise typer.Exit(ERROR if faults else 0)


@app.command()
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One SELECT over the datasets, by name.")],
    output: Annotated[Format, typer.Option("--format", help="Form of the answer.")] = Format.table,
    out: Annotated[Path | None, typer.Option(help="File to write; default: stdout.")] = None,
) -> None:
    """Ask the lake in SQL (DuckDB): one view per dataset, read-only.

    Example: deribit-lake query "SELECT count(*) FROM perpetuals_ohlcv"
    """
    from lake.paths import open_lake
    from lake.views import connect, select, write

    connection = connect(open_lake(settings_of(context).root))
    write(select(connection, sql), output.value, out)


@app.command("sql")
def interactive(context: typer.Context) -> None:
    """Ask the lake in SQL, line by line; a query ends with a semicolon, Ctrl-D leaves.

    Example: deribit-lake sql
    """
    from lake.paths import open_lake
    from lake.views import converse

    converse(open_lake(settings_of(context).root))


@app.command()
def report(
    context: typer.Context,
    table: Annotated[str, typer.Option(help="Dataset to show.")] = "perpetuals_ohlcv",
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Draw what is held: a coverage calendar and a price chart, in one HTML file.

    Example: deribit-lake report --out report.html
    """
    from etl.check.report import report_lake

    report_lake(settings_of(context), table, out)
    typer.echo(f"wrote {out}")
