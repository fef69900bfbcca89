"""Commands that move the lake into the database: load, reload, verify-db."""

from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.options import ERROR, AsJson, print_json, reporting, settings_of

if TYPE_CHECKING:
    from etl.backfill.run import Wish
    from etl.config import Settings
    from etl.database.load import LoadReport

app = typer.Typer()
Table = Annotated[str | None, typer.Option("--dataset", help="One table; default: all.")]


@app.command("load")
def load_lake(
    context: typer.Context,
    dataset: Table = None,
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
    from etl.database.load import load
    from etl.when import parse_span

    settings, span = settings_of(context), parse_span(start, end)
    names = [name.strip() for name in instruments.split(",")] if instruments else None
    with reporting(settings) as progress:
        done = load(
            settings, progress, datasets=_tables(dataset), instruments=names, span=span, full=full
        )
    _print_load(done, as_json=as_json)


@app.command("reload")
def reload_lake(context: typer.Context, dataset: Table = None, as_json: AsJson = False) -> None:
    """Empty the tables and load them again from Parquet.

    Example: deribit-lake reload
    """
    from etl.database.load import empty, load

    settings = settings_of(context)
    with reporting(settings) as progress:
        empty(settings, _tables(dataset))
        done = load(settings, progress, datasets=_tables(dataset))
    _print_load(done, as_json=as_json)


@app.command("verify-db")
def verify_db(context: typer.Context, dataset: Table = None, as_json: AsJson = False) -> None:
    """Read the database back and hold it against the lake, month by month.

    Example: deribit-lake verify-db
    """
    from etl.database.verify import verify_database

    compared, differences = verify_database(settings_of(context), _tables(dataset))
    if as_json:
        print_json({"rows": compared, "differences": differences})
    else:
        for one in differences:
            what = f"{one.dataset} {one.instrument} {one.month}".rstrip()
            typer.echo(f"{what}: the lake has {one.lake}; the database has {one.database}")
        typer.echo(f"{compared:,} rows compared, {len(differences)} differences")
    raise typer.Exit(ERROR if differences else 0)


def check_loadable(settings: "Settings", dataset: str) -> None:
    """Refuse, before a long backfill, what could not be loaded after it.

    Raises
    ------
    UsageError
        If the dataset has no table: other resolutions than one minute are never loaded.
    DatabaseError
        If the database cannot be reached or is not what the schema says.
    """
    from etl.database.connection import connect, database_errors
    from etl.database.schema import check_schema

    _tables(dataset)
    with database_errors(), connect(settings) as connection:
        check_schema(connection)


def load_after(settings: "Settings", wish: "Wish", *, quiet: bool) -> None:
    """Load what a backfill has just brought."""
    from etl.database.load import load

    with reporting(settings) as progress:
        names = wish.instruments or None  # futures are chosen by currency, too
        done = load(settings, progress, datasets=[wish.dataset.name], instruments=names)
    if not quiet:
        _print_load(done)


def _tables(dataset: str | None) -> list[str]:
    from etl.database.parts import LOADED
    from etl.errors import UsageError

    if dataset is not None and dataset not in LOADED:
        message = f"no table for dataset {dataset!r}; choose from: {', '.join(LOADED)}"
        raise UsageError(message)
    return [dataset] if dataset else list(LOADED)


def _print_load(done: "LoadReport", *, as_json: bool = False) -> None:
    if as_json:
        print_json(done)
        return
    for note in done.notes:
        typer.echo(f"note: {note}")
    rows = done.inserted + done.updated + done.deleted
    rate = f", {rows / done.seconds:,.0f} rows/s" if rows else ""
    typer.echo(
        f"{done.inserted:,} rows inserted, {done.updated:,} updated, {done.deleted:,} deleted; "
        f"{done.months_loaded} months loaded, {done.months_unchanged} unchanged, "
        f"in {done.seconds:.1f} s{rate}"
    )
