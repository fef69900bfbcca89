"""Commands that work on the lake alone: status, quality, replay, verify, query, sql, report."""

import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.options import (
    ERROR,
    INCOMPLETE,
    UNKNOWN,
    AsJson,
    DatasetName,
    Wait,
    Workers,
    datasets_of,
    lake_of,
    print_json,
    print_status,
    reporting,
    settings_of,
)

if TYPE_CHECKING:
    from etl.config import Settings
    from lake.paths import Lake

app = typer.Typer()


class Source(StrEnum):
    """Where a table lies."""

    lake = "lake"
    db = "db"


class By(StrEnum):
    """What options are told apart by."""

    expiry = "expiry"
    instrument = "instrument"


class Format(StrEnum):
    """How a query's answer is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.command()
def status(
    context: typer.Context,
    dataset: DatasetName = None,
    by: Annotated[
        By | None, typer.Option(help="Trades of options by what: expiry or instrument.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Of the collector that runs: how old its data are.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is held, what is missing and why, with a verdict; the exit code says it too.

    With --live: 0 if all data are fresh, 3 if something rings or has not begun, 4 if no collector
    answers at collect.listen.

    Example: deribit-lake status --json
    """
    from etl.check.status import statuses

    if live:
        _print_live(settings_of(context), as_json=as_json)
    if by is not None:
        from etl.check.chain_status import chain_statuses
        from etl.instruments.chain import chain

        lake = lake_of(context)
        options = chain(lake).sort("settlement_currency", "expiration_timestamp", "instrument")
        print_status(chain_statuses(lake, options.collect(), by.value), as_json=as_json)
    name = datasets_of(dataset)[0].name if dataset else None
    print_status(statuses(lake_of(context), name), as_json=as_json)


@app.command()
def quality(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Option("--dataset", "--table", help="Dataset to check, by its name.")
    ] = "perpetuals_ohlcv",
    source: Annotated[Source, typer.Option("--from", help="Where it lies.")] = Source.lake,
    gap_minutes: Annotated[float, typer.Option(help="Longest gap that is no finding.")] = 5.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the reports; default: reports/DATASET.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check gaps, sanity, outliers and fillers; write the findings as CSV.

    Example: deribit-lake quality --dataset perpetuals_ohlcv --gap-minutes 5
    """
    from etl.catalog import find
    from etl.check.quality import check_lake, summary
    from etl.check.quality_database import check_database
    from validators.outages import load_outages

    settings, lake, chosen = settings_of(context), lake_of(context), find(dataset)
    out_dir, outages = out or Path("reports") / chosen.name, load_outages(settings.outages)
    check = partial(check_database, settings) if source is Source.db else check_lake
    found = check(lake, chosen, outages, out_dir=out_dir, gap_minutes=gap_minutes)
    if as_json:
        print_json(found)
    else:
        typer.echo(summary(found))
    raise typer.Exit(0 if found.ok else ERROR)


@app.command()
def replay(
    context: typer.Context,
    dataset: DatasetName = None,
    workers: Workers = None,
    wait: Wait = False,
) -> None:
    """Rebuild datasets offline: what was fetched from raw alone, what is computed from that.

    Example: deribit-lake replay --dataset perpetuals_ohlcv
    """
    from etl import pipeline

    settings, chosen = settings_of(context), datasets_of(dataset)
    with reporting(settings) as progress:
        rebuilt = list(pipeline.replay(settings, chosen, progress, workers=workers, wait=wait))
    rows = sum(record.rows for _, record in rebuilt)
    typer.echo(f"rebuilt {len(rebuilt)} partitions, {rows:,} rows")


@app.command()
def verify(
    context: typer.Context,
    dataset: DatasetName = None,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Move corrupt files aside.")
    ] = False,
) -> None:
    """Read every file of the lake and hold it against the ledger.

    Example: deribit-lake verify --quarantine
    """
    from lake.verify import set_aside
    from lake.verify import verify as examine

    lake = lake_of(context)
    faults = list(examine(lake, datasets_of(dataset)[0].name if dataset else None))
    for fault in faults:
        target = set_aside(lake, fault) if quarantine and fault.is_corrupt else None
        moved = "" if target is None else f"; moved to {target}"
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
    from lake.answers import write
    from lake.errors import QueryError
    from lake.views import open_views, select

    lake = lake_of(context)
    try:
        write(select(open_views(lake), sql), output.value, out)
    except QueryError:
        _check_held(lake, sql)
        raise


@app.command("sql")
def interactive(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Option(help="DuckDB file to write instead, with every view: for other programs."),
    ] = None,
) -> None:
    """Ask the lake in SQL, line by line; a query ends with a semicolon, Ctrl-D leaves.

    With --file: write a DuckDB file that duckdb's own shell, DBeaver, R and Python open the lake
    by; rows that come later are seen through it, too. Not of a lake in a bucket.

    Example: deribit-lake sql --file lake.duckdb
    """
    if file is None:
        from lake.views import converse

        if converse(lake_of(context)) and not sys.stdin.isatty():
            raise typer.Exit(ERROR)  # whoever pipes queries does not read what they say
        return
    from etl.check.database_file import write_database_of

    written = write_database_of(lake_of(context), file)
    views, macros = len(written.views), ", ".join(written.macros)
    typer.echo(f"wrote {file}: {views} views, and the macros {macros}")


@app.command()
def report(
    context: typer.Context,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "--table", help="Only its candles, by day; default: all held."),
    ] = None,
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    reports: Annotated[Path, typer.Option(help="Folder of the reports of `quality`.")] = Path(
        "reports"
    ),
) -> None:
    """Draw the whole lake on one page: what is held, gaps, ages, sizes, curves, the last runs.

    With --dataset: a calendar and a price chart of one-minute candles.

    Example: deribit-lake report --out report.html
    """
    settings, lake = settings_of(context), lake_of(context)
    if dataset is None:
        from etl.check.report.page import report_page
        from lake.write import write_out

        write_out(report_page(lake, settings, reports).encode(), out)
    else:
        from etl.catalog import find
        from etl.check.report.candles import report_lake
        from validators.outages import load_outages

        report_lake(lake, find(dataset), load_outages(settings.outages), out)
    typer.echo(f"wrote {out}")


def _print_live(settings: "Settings", *, as_json: bool) -> None:
    """Print what the collector says of itself, and leave with its verdict."""
    from etl.collect.health.asking import ask, told

    answer = ask(settings.collect)
    if as_json:
        nobody = {"verdict": "unknown", "reason": told(answer)}
        print_json(nobody if answer.overview is None else answer.overview)
    else:
        typer.echo(told(answer))
    if answer.overview is None:
        raise typer.Exit(UNKNOWN)
    raise typer.Exit(0 if answer.is_fresh else INCOMPLETE)


def _check_held(lake: "Lake", sql: str) -> None:
    """Refuse a query that names a dataset of which nothing is held.

    Raises
    ------
    UsageError
        If it does; the message says what to run.
    """
    import re

    from etl.catalog import DATASETS, maker_of
    from etl.errors import UsageError

    for name, dataset in DATASETS.items():
        if re.search(rf"\b{name}\b", sql) and not lake.files(name):
            message = f"{lake.root} holds nothing of {name} yet: run {maker_of(dataset)}"
            raise UsageError(message)
