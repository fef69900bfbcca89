"""The command line: parse, call one function, print, choose the exit code.

Everything that takes time to import is imported by the command that needs it.
"""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from etl.config import Settings
    from etl.datasets import Dataset
    from etl.jobs import Wish
    from etl.pipeline import Report
    from etl.progress import Progress
    from etl.status import Status

ERROR, INCOMPLETE, UNKNOWN, INTERRUPTED = 1, 3, 4, 130
PERPETUALS = "BTC-PERPETUAL,ETH-PERPETUAL"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The free, complete and verifiable history of Deribit on your own machine.",
    epilog="Exit codes: 0 done and COMPLETE, 1 error, 2 usage, 3 INCOMPLETE, 4 UNKNOWN.",
)
backfill_app = typer.Typer(no_args_is_help=True, help="Fetch what the lake lacks.")
plan_app = typer.Typer(no_args_is_help=True, help="Say what a backfill would cost.")
app.add_typer(backfill_app, name="backfill")
app.add_typer(plan_app, name="plan")

Instruments = Annotated[str, typer.Option(help="Names, separated by commas.")]
Start = Annotated[str | None, typer.Option(help="First moment, UTC; default: the listing.")]
End = Annotated[str | None, typer.Option(help="First moment after, UTC; default: now.")]
Resolution = Annotated[str, typer.Option(help="1, 3, 5, 10, 15, 30, 60, 120, … 720 or 1D.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another writer to finish.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and stop.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DatasetName = Annotated[str | None, typer.Option("--dataset", help="One dataset; default: all.")]


class Format(StrEnum):
    """How a query's answer is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@dataclass(frozen=True)
class Flags:
    """The global options, None where not given."""

    config: Path | None
    values: dict[str, Any]

    def settings(self) -> "Settings":
        """Return the settings these options amount to."""
        from etl.config import load_settings

        return load_settings(self.config, **self.values)


@app.callback()
def _root(
    context: typer.Context,
    lake: Annotated[
        Path | None, typer.Option(help="Folder of the lake (DERIBIT_LAKE_ROOT, default ./data).")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Base URL of the exchange (DERIBIT_LAKE_HOST).")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default ./deribit-lake.toml).")
    ] = None,
) -> None:
    context.obj = Flags(config, {"root": lake, "host": host})


@app.command()
def ping(context: typer.Context) -> None:
    """Ask the exchange whether it is there, and what time it is.

    Example: deribit-lake ping
    """
    import asyncio
    import json

    from etl.ping import ping as ask

    typer.echo(json.dumps(asyncio.run(ask(_settings(context)))))


@backfill_app.command("perpetuals")
def backfill_perpetuals(
    context: typer.Context,
    instruments: Instruments = PERPETUALS,
    start: Start = None,
    end: End = None,
    resolution: Resolution = "1",
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fetch candles of perpetuals; what is held is not fetched again.

    Example: deribit-lake backfill perpetuals --instruments BTC-PERPETUAL --start 2024-01-01
    """
    wish = _candles(instruments, start, end, resolution)
    _estimate(context, wish, as_json) if dry_run else _backfill(context, wish, wait, as_json)


@backfill_app.command("funding")
def backfill_funding(
    context: typer.Context,
    instruments: Instruments = PERPETUALS,
    start: Start = None,
    end: End = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fetch hourly funding rates of perpetuals.

    Example: deribit-lake backfill funding --start 2024-01-01
    """
    wish = _funding(instruments, start, end)
    _estimate(context, wish, as_json) if dry_run else _backfill(context, wish, wait, as_json)


@plan_app.command("perpetuals")
def plan_perpetuals(
    context: typer.Context,
    instruments: Instruments = PERPETUALS,
    start: Start = None,
    end: End = None,
    resolution: Resolution = "1",
    as_json: AsJson = False,
) -> None:
    """Say what a backfill of perpetuals would cost: requests, seconds, bytes.

    Example: deribit-lake plan perpetuals --start 2024-01-01 --json
    """
    _estimate(context, _candles(instruments, start, end, resolution), as_json)


@plan_app.command("funding")
def plan_funding(
    context: typer.Context,
    instruments: Instruments = PERPETUALS,
    start: Start = None,
    end: End = None,
    as_json: AsJson = False,
) -> None:
    """Say what a backfill of funding rates would cost.

    Example: deribit-lake plan funding
    """
    _estimate(context, _funding(instruments, start, end), as_json)


@app.command()
def heal(
    context: typer.Context,
    dataset: DatasetName = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Ask again for what is missing and unsettled, and for rows that may have been revised.

    Example: deribit-lake heal --dataset perpetuals_ohlcv
    """
    import asyncio

    from etl import pipeline
    from etl.datasets import DATASETS, find_dataset

    settings = _settings(context)
    names = [find_dataset(dataset).name] if dataset else list(DATASETS)
    with _reporting(settings) as progress:
        report = asyncio.run(pipeline.heal(settings, names, progress, wait=wait))
    _finish(settings, names, report, as_json=as_json)


@app.command()
def status(context: typer.Context, dataset: DatasetName = None, as_json: AsJson = False) -> None:
    """Say what is held, what is missing and why, with a verdict; the exit code says it too.

    Example: deribit-lake status --json
    """
    from etl.datasets import find_dataset
    from etl.status import statuses
    from lake.paths import open_lake

    name = find_dataset(dataset).name if dataset else None
    _print_status(statuses(open_lake(_settings(context).root), name), as_json=as_json)


@app.command()
def quality(
    context: typer.Context,
    table: Annotated[str, typer.Option(help="Dataset to check.")] = "perpetuals_ohlcv",
    source: Annotated[str, typer.Option("--from", help="Where it lies: lake.")] = "lake",
    gap_minutes: Annotated[float, typer.Option(help="Longest gap that is no finding.")] = 5.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the reports; default: reports/TABLE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check gaps, sanity, outliers and fillers; write the findings as CSV.

    Example: deribit-lake quality --table perpetuals_ohlcv --gap-minutes 5
    """
    from etl.errors import UsageError
    from etl.quality import check_lake, summary

    if source != "lake":
        message = f"--from {source!r}: expected lake"
        raise UsageError(message)
    found = check_lake(
        _settings(context), table, gap_minutes=gap_minutes, out_dir=out or Path("reports") / table
    )
    if as_json:
        _print_json(found)
    else:
        typer.echo(summary(found))
    raise typer.Exit(0 if found.ok else ERROR)


@app.command()
def replay(context: typer.Context, dataset: DatasetName = None, wait: Wait = False) -> None:
    """Rebuild clean data, quarantine and ledger from raw alone, offline.

    Example: deribit-lake replay --dataset perpetuals_ohlcv
    """
    from etl.datasets import DATASETS, find_dataset
    from etl.replay import replay as rebuild

    settings = _settings(context)
    chosen = [find_dataset(dataset)] if dataset else list(DATASETS.values())
    with _reporting(settings):
        rebuilt = rebuild(settings, chosen, wait=wait)
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

    lake = open_lake(_settings(context).root)
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

    connection = connect(open_lake(_settings(context).root))
    write(select(connection, sql), output.value, out)


@app.command("sql")
def interactive(context: typer.Context) -> None:
    """Ask the lake in SQL, line by line; a query ends with a semicolon, Ctrl-D leaves.

    Example: deribit-lake sql
    """
    from lake.paths import open_lake
    from lake.views import converse

    converse(open_lake(_settings(context).root))


@app.command()
def report(
    context: typer.Context,
    table: Annotated[str, typer.Option(help="Dataset to show.")] = "perpetuals_ohlcv",
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Draw what is held: a coverage calendar and a price chart, in one HTML file.

    Example: deribit-lake report --out report.html
    """
    from etl.report import report_lake

    report_lake(_settings(context), table, out)
    typer.echo(f"wrote {out}")


def main() -> None:
    """Run the command line; an expected failure is one line on stderr and exit code 1."""
    from etl.errors import EtlError
    from lake.errors import LakeError
    from validators.errors import ValidatorsError

    # A service manager's stop is Ctrl-C: asyncio knows how to end on that one cleanly.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app()
    except (EtlError, LakeError, ValidatorsError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(ERROR)


def _settings(context: typer.Context) -> "Settings":
    flags: Flags = context.find_root().obj
    return flags.settings()


def _candles(instruments: str, start: str | None, end: str | None, resolution: str) -> "Wish":
    from etl.datasets import candles_dataset

    return _wish(candles_dataset("perpetuals_ohlcv", resolution), instruments, start, end)


def _funding(instruments: str, start: str | None, end: str | None) -> "Wish":
    from etl.datasets import FUNDING

    return _wish(FUNDING, instruments, start, end)


def _wish(dataset: "Dataset", instruments: str, start: str | None, end: str | None) -> "Wish":
    from etl.errors import UsageError
    from etl.jobs import Wish
    from etl.moments import parse_moment

    names = [name.strip() for name in instruments.split(",") if name.strip()]
    first = parse_moment(start, "--start") if start else None
    last = parse_moment(end, "--end") if end else None
    if not names:
        message = f"--instruments {instruments!r} names no instrument"
        raise UsageError(message)
    if first is not None and last is not None and first >= last:
        message = f"--start {start} is not before --end {end}"
        raise UsageError(message)
    return Wish(dataset, names, first, last)


def _estimate(context: typer.Context, wish: "Wish", as_json: bool) -> None:
    import asyncio

    from etl import pipeline

    settings = _settings(context)
    with _reporting(settings) as progress:
        found = asyncio.run(pipeline.estimate(settings, wish, progress))
    if as_json:
        _print_json(found)
        return
    for note in found.notes:
        typer.echo(f"note: {note}")
    typer.echo(
        f"{found.requests:,} requests, {found.seconds:,.0f} s at the rate limit, "
        f"{found.rows:,} rows, about {found.bytes / 1e6:,.0f} MB "
        f"({found.free_bytes / 1e6:,.0f} MB free); {found.rows_held:,} rows are held"
    )


def _backfill(context: typer.Context, wish: "Wish", wait: bool, as_json: bool) -> None:
    import asyncio

    from etl import pipeline

    settings = _settings(context)
    with _reporting(settings) as progress:
        report = asyncio.run(pipeline.backfill(settings, wish, progress, wait=wait))
    _finish(settings, [wish.dataset.name], report, as_json=as_json, only=wish.instruments)


@contextmanager
def _reporting(settings: "Settings") -> Iterator["Progress"]:
    """Keep a log and show progress; Ctrl-C ends a run cleanly."""
    from etl.logs import logging_to
    from etl.progress import progress_on
    from lake.write import disk_errors

    with disk_errors(settings.log_dir):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
    try:
        with logging_to(settings.log_dir), progress_on(is_terminal=sys.stderr.isatty()) as progress:
            yield progress
    except KeyboardInterrupt:
        typer.echo("interrupted: what was fetched is kept; run the same command again", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _finish(
    settings: "Settings",
    datasets: Sequence[str],
    report: "Report",
    *,
    as_json: bool,
    only: Sequence[str] | None = None,
) -> None:
    """Say what a run did and what the lake holds now, and leave with the verdict."""
    from etl.status import statuses
    from lake.paths import open_lake

    lake = open_lake(settings.root)
    found = [
        status
        for name in datasets
        for status in statuses(lake, name)
        if only is None or status.instrument in only
    ]
    for note in report.notes:
        typer.echo(f"note: {note}", err=as_json)
    for error in report.errors:
        typer.echo(f"error: {error}", err=True)
    typer.echo(f"{report.requests:,} requests in {report.seconds:.1f} s", err=as_json)
    if not report.partitions:
        typer.echo("nothing to fetch", err=as_json)
        raise typer.Exit
    _print_status(found, as_json=as_json)


def _print_status(found: "Sequence[Status]", *, as_json: bool) -> None:
    """Print the statuses and leave with the worst verdict as exit code."""
    from etl.status import overall, table

    verdict = overall(found)
    if as_json:
        _print_json({"verdict": verdict, "instruments": found})
    else:
        typer.echo(table(found))
        typer.echo(f"verdict: {verdict}")
        if verdict == "INCOMPLETE":
            typer.echo("`deribit-lake heal` asks again for what is missing")
    raise typer.Exit({"COMPLETE": 0, "INCOMPLETE": INCOMPLETE, "UNKNOWN": UNKNOWN}[verdict])


def _print_json(found: object) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())


if __name__ == "__main__":
    main()
