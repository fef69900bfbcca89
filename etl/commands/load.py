"""Commands that move the lake into the database: load, reload, verify-db."""

from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.options import (
    ERROR,
    AsJson,
    DatasetName,
    lake_of,
    print_json,
    reporting,
    settings_of,
)

if TYPE_CHECKING:
    from etl.database.report import LoadReport
    from etl.dataset import Dataset

app = typer.Typer()


@app.command("load")
def load_lake(
    context: typer.Context,
    dataset: DatasetName = None,
    instruments: Annotated[
        str | None, typer.Option(help="Names, separated by commas; default: all.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="Months from this moment on, UTC.")] = None,
    end: Annotated[str | None, typer.Option(help="Months before this moment, UTC.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Compare every row again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Load what changed in the lake into the database.

    Example: deribit-lake load --dataset perpetuals_ohlcv --instruments BTC-PERPETUAL
    """
    from etl.backfill.wish import words
    from etl.database.load import load
    from etl.pipeline import open_to_write
    from etl.when import parse_span

    settings, span = settings_of(context), parse_span(start, end)
    with reporting(settings) as progress:
        done = load(
            settings,
            open_to_write(settings, progress, makes_rows=False),
            progress,
            datasets=_with_table(dataset),
            parts=words(instruments) or None,
            span=span,
            full=full,
        )
    print_load(done, as_json=as_json)


@app.command("reload")
def reload_lake(
    context: typer.Context, dataset: DatasetName = None, as_json: AsJson = False
) -> None:
    """Empty the tables and load them again from Parquet.

    Example: deribit-lake reload
    """
    from etl.database.load import load
    from etl.pipeline import open_to_write

    settings, chosen = settings_of(context), _with_table(dataset)
    with reporting(settings) as progress:
        lake = open_to_write(settings, progress, makes_rows=False)
        done = load(settings, lake, progress, datasets=chosen, anew=True)
    print_load(done, as_json=as_json)


@app.command("verify-db")
def verify_db(context: typer.Context, dataset: DatasetName = None, as_json: AsJson = False) -> None:
    """Read the database back and hold it against the lake, month by month.

    Example: deribit-lake verify-db
    """
    from etl.database.verify import compare

    chosen = _with_table(dataset)
    found = compare(settings_of(context), lake_of(context), chosen)
    if as_json:
        print_json(found)
    else:
        for one in found.differences:
            what = f"{one.dataset} {one.instrument} {one.month}".rstrip()
            typer.echo(f"{what}: the lake has {one.lake}; the database has {one.database}")
        if found.live:
            live = ", ".join(f"{count:,} of {name}" for name, count in found.live.items())
            typer.echo(f"live rows behind the lake's last ones: {live}")
        typer.echo(f"{found.rows:,} rows compared, {len(found.differences)} differences")
    raise typer.Exit(ERROR if found.differences else 0)


def print_load(done: "LoadReport", *, as_json: bool = False) -> None:
    """Say what a load did."""
    if as_json:
        print_json(done)
        return
    for note in done.notes:
        typer.echo(f"note: {note}")
    rows = done.inserted + done.updated + done.deleted
    rate = f", {rows / done.seconds:,.0f} rows/s" if rows else ""
    bars = f" and {done.bars:,} hours and days of them" if done.bars else ""
    live = f"; {done.live:,} live rows stay" if done.live else ""
    typer.echo(
        f"{done.inserted:,} rows inserted, {done.updated:,} updated, {done.deleted:,} deleted"
        f"{bars}; "
        f"{done.months_loaded} months loaded, {done.months_unchanged} unchanged, "
        f"in {done.seconds:.1f} s{rate}{live}"
    )


def _with_table(name: str | None) -> "list[Dataset]":
    from etl.catalog import find
    from etl.database.parts import check_has_table, loadable

    if name is None:
        return loadable()
    check_has_table(found := find(name))
    return [found]
