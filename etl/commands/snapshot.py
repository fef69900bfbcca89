"""The command that takes a snapshot of what is quoted now: snapshot options."""

from typing import Annotated

import typer

from etl.commands.options import ERROR, AsJson, Wait, print_json, reporting, settings_of

app = typer.Typer(no_args_is_help=True, help="What the exchange quotes at this instant.")


@app.callback()
def _group() -> None:
    """Keep the word `options` though there is one command."""


@app.command()
def options(
    context: typer.Context,
    currency: Annotated[
        str, typer.Option(help="What the options settle in, by commas: BTC, ETH, USDC.")
    ],
    tickers: Annotated[
        bool,
        typer.Option(
            "--tickers",
            help="Ask for each option's ticker, too: amounts, volatilities of bid and ask, Greeks.",
        ),
    ] = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Keep the whole chain of options as it is quoted now, with its marks.

    One request a currency; with `--tickers` one more for each option.

    Example: deribit-lake snapshot options --currency BTC,ETH
    """
    import asyncio

    from etl.backfill.wish import words
    from etl.pipeline import open_to_write
    from etl.snapshots.fetch import take
    from etl.when import format_moment

    settings, chosen = settings_of(context), dict.fromkeys(words(currency, "--currency"))
    with reporting(settings) as progress:
        lake = open_to_write(settings, progress, create=True)
        taken, errors, requests = asyncio.run(
            take(settings, lake, [*chosen], progress, with_tickers=tickers, wait=wait)
        )
    if as_json:
        print_json({"snapshots": taken, "errors": errors, "requests": requests})
    for one in [] if as_json else taken:
        for note in one.notes:
            typer.echo(f"note: {note}")
        aside = f"; {one.quarantined:,} rows of the day set aside" if one.quarantined else ""
        greeks = f", {one.tickers:,} with Greeks" if tickers else ""
        at = format_moment(one.timestamp_ms)
        typer.echo(
            f"{one.currency} at {at}: {one.options:,} options of {one.expiries} expiries"
            f"{greeks}{aside}"
        )
    for error in errors:
        typer.echo(f"error: {error}", err=True)
    raise typer.Exit(ERROR if errors else 0)
