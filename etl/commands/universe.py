"""Commands on the universe of instruments: refresh, rebuild, show, diff."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.options import INCOMPLETE, AsJson, reporting, settings_of

if TYPE_CHECKING:
    import polars as pl

    from lake.paths import Lake

universe_app = typer.Typer(no_args_is_help=True, help="Every instrument ever listed, as it was.")


@universe_app.command()
def refresh(
    context: typer.Context,
    currency: Annotated[
        str, typer.Option(help="Whose expired instruments, by commas; default: all that settle.")
    ] = "",
) -> None:
    """Fetch the lists of instruments, living and expired, and fold them into the dataset.

    Leaves with code 3 if a list lacks an instrument that it had: it is kept all the same.

    Example: deribit-lake universe refresh
    """
    from etl.backfill.run import words
    from etl.instruments.history import vanished
    from etl.instruments.listings import fetch_listings
    from etl.instruments.table import refold
    from lake.paths import open_lake

    settings = settings_of(context)
    with reporting(settings):
        lake = open_lake(settings.root, create=True)
        requests = asyncio.run(fetch_listings(settings, lake, words(currency)))
        universe = refold(lake)
    missed = vanished(universe)
    for name in missed:
        typer.echo(f"vanished: {name} is no longer in a list that had it; it is kept", err=True)
    typer.echo(f"{len(universe.intervals):,} instruments; {requests} requests")
    raise typer.Exit(INCOMPLETE if missed else 0)


@universe_app.command()
def rebuild(context: typer.Context) -> None:
    """Fold every list ever staged anew, offline; the same bytes come out.

    Example: deribit-lake universe rebuild
    """
    from etl.instruments.table import refold

    settings = settings_of(context)
    with reporting(settings):
        universe = refold(_lake(context), whole=True)
    typer.echo(f"{len(universe.intervals):,} instruments")


@universe_app.command()
def show(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="future, option, spot, …")] = None,
    currency: Annotated[str | None, typer.Option(help="What they settle in.")] = None,
    at: Annotated[str | None, typer.Option(help="Those alive at a moment, UTC.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show instruments; without `--at`, all there ever were.

    Example: deribit-lake universe show --kind future --currency BTC --at 2024-06-30
    """
    import polars as pl

    from etl.instruments import table as universe_table

    found = _scan(context)
    if at is not None:
        found = universe_table.at(found, _moment(at, "--at"))
    if kind is not None:
        found = found.filter(pl.col("kind") == kind)
    if currency is not None:
        found = found.filter(pl.col("settlement_currency") == currency)
    columns = ("instrument", "kind", "instrument_id", "valid_from", "valid_to", "tick_size")
    _print(found.select(*columns, "settlement_currency", "state"), as_json=as_json)


@universe_app.command()
def diff(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="First moment, UTC.")],
    until: Annotated[str, typer.Option(help="Second moment, UTC.")],
    as_json: AsJson = False,
) -> None:
    """Show what was listed, went and changed between two moments.

    Example: deribit-lake universe diff --since 2024-06-01 --until 2024-07-01
    """
    from etl.instruments import table as universe_table

    bounds = _moment(since, "--since"), _moment(until, "--until")
    _print(universe_table.diff(_scan(context), *bounds), as_json=as_json)


def _lake(context: typer.Context) -> "Lake":
    from lake.paths import open_lake

    return open_lake(settings_of(context).root)


def _scan(context: typer.Context) -> "pl.LazyFrame":
    from etl.errors import UsageError
    from etl.instruments import table as universe_table

    lake = _lake(context)
    if not universe_table.path_of(lake).exists():
        message = f"{lake.root} has no universe: run `deribit-lake universe refresh`"
        raise UsageError(message)
    return universe_table.scan(lake)


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
