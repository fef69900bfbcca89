"""The command that shows the chain of options as of a moment: chain."""

from typing import Annotated

import typer

from etl.commands.options import AsJson, lake_of

app = typer.Typer()


@app.command()
def chain(
    context: typer.Context,
    currency: Annotated[str, typer.Option(help="What the options settle in: BTC, ETH, USDC.")],
    at: Annotated[str, typer.Option(help="The moment, UTC.")],
    expiry: Annotated[
        str | None, typer.Option(help="Days of expiry, by commas; default: all.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1e9, help="Hours a trade may be older than the moment.")
    ] = 24.0,
    blocks: Annotated[
        bool, typer.Option("--blocks", help="Take in trades of blocks and combos.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the last trade of each strike at a moment, calls and puts, for each expiry alive then.

    Example: deribit-lake chain --currency BTC --at 2024-06-01T12:00 --expiry 2024-12-27
    """
    from etl.backfill.wish import days_of
    from etl.check.chain import HOUR_MS, chain_at, table
    from etl.when import parse_moment

    at_ms = parse_moment(at, "--at")
    found = chain_at(
        lake_of(context),
        currency,
        at_ms,
        tolerance_ms=round(tolerance * HOUR_MS),
        expiries=days_of(expiry, "--expiry"),
        with_blocks=blocks,
    )
    if as_json:
        typer.echo(found.write_json())
        return
    typer.echo(table(found, at_ms))
    typer.echo(f"{len(found):,} options; iv in percent, prices as traded")
