"""Commands on the instruments: refresh, rebuild, show, diff."""

from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.options import INCOMPLETE, AsJson, lake_of, reporting, settings_of

if TYPE_CHECKING:
    import polars as pl

instruments_app = typer.Typer(no_args_is_help=True, help="Every instrument ever listed, as it was.")


@instruments_app.command()
def refresh(
    context: typer.Context,
    currency: Annotated[
        str,
        typer.Option(help="Whose expired instruments, by commas; default: all there ever were."),
    ] = "",
) -> None:
    """Fetch the lists of instruments, living and expired, and fold them into the dataset.

    Leaves with code 3 if a list lacks an instrument that it had: it is kept all the same.

    Example: deribit-lake instruments refresh
    """
    import asyncio

    from etl.backfill.wish import words
    from etl.instruments.history import notes, vanished
    from etl.instruments.refresh import fetch_lists
    from etl.instruments.table import refold
    from etl.pipeline import open_to_write

    settings = settings_of(context)
    with reporting(settings) as progress:
        lake = open_to_write(settings, progress, create=True)
        done = asyncio.run(fetch_lists(settings, lake, words(currency)))
        history = refold(lake)
    missed = vanished(history)
    for note in [*done.notes, *notes(history)]:
        typer.echo(f"note: {note}")
    for name in missed:
        typer.echo(f"vanished: {name} is no longer in a list that had it; it is kept", err=True)
    aside = f"; {len(history.aside):,} records set aside" if history.aside else ""
    typer.echo(f"{len(history.intervals):,} instruments; {done.requests} requests{aside}")
    raise typer.Exit(INCOMPLETE if missed else 0)


@instruments_app.command()
def rebuild(context: typer.Context) -> None:
    """Fold every list ever staged anew, offline; the same bytes come out.

    Example: deribit-lake instruments rebuild
    """
    from etl.instruments.history import notes
    from etl.instruments.table import refold
    from etl.pipeline import open_to_write

    settings = settings_of(context)
    with reporting(settings) as progress:
        history = refold(open_to_write(settings, progress), whole=True)
    for note in notes(history):
        typer.echo(f"note: {note}")
    typer.echo(f"{len(history.intervals):,} instruments")


@instruments_app.command()
def show(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="future, option, spot, …")] = None,
    currency: Annotated[str | None, typer.Option(help="What they settle in.")] = None,
    at: Annotated[str | None, typer.Option(help="Those alive at a moment, UTC.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show instruments; without `--at`, all there ever were.

    Example: deribit-lake instruments show --kind future --currency BTC --at 2024-06-30
    """
    import polars as pl

    from etl.instruments import table

    found = _scan(context)
    if at is not None:
        found = table.at(found, _moment(at, "--at"))
    if kind is not None:
        found = found.filter(pl.col("kind") == kind)
    if currency is not None:
        found = found.filter(pl.col("settlement_currency") == currency)
    columns = ("instrument", "kind", "instrument_id", "valid_from", "valid_to", "tick_size")
    _print(found.select(*columns, "settlement_currency", "state"), as_json=as_json)


@instruments_app.command()
def diff(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="First moment, UTC.")],
    until: Annotated[str, typer.Option(help="Second moment, UTC.")],
    as_json: AsJson = False,
) -> None:
    """Show what was listed, went and changed between two moments.

    Example: deribit-lake instruments diff --since 2024-06-01 --until 2024-07-01
    """
    from etl.instruments import table

    bounds = _moment(since, "--since"), _moment(until, "--until")
    _print(table.diff(_scan(context), *bounds), as_json=as_json)


def _scan(context: typer.Context) -> "pl.LazyFrame":
    from etl.errors import UsageError
    from etl.instruments import table

    lake = lake_of(context)
    if not lake.files(table.PARTITION.dataset):
        message = f"{lake.root} has no instruments: run `deribit-lake instruments refresh`"
        raise UsageError(message)
    return table.scan(lake)


def _moment(text: str, name: str) -> "pl.Expr":
    import polars as pl

    from etl.when import parse_moment

    return pl.lit(parse_moment(text, name) * 1000).cast(pl.Datetime("us", "UTC"))


def _print(found: "pl.LazyFrame", *, as_json: bool) -> None:
    import polars as pl

    rows = found.collect()
    if as_json:
        typer.echo(rows.write_json())
        return
    with pl.Config(tbl_rows=60, tbl_hide_dataframe_shape=True, tbl_width_chars=140):
        typer.echo(str(rows))
    typer.echo(f"{len(rows):,} rows")
