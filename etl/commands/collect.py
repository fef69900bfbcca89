"""The command that collects what the exchange sends, as it happens: collect."""

import typer

from etl.commands.options import reporting, settings_of

USAGE = 2

app = typer.Typer()
EVENTS = "collect.jsonl"


@app.command()
def collect(context: typer.Context) -> None:
    """Collect candles, trades, funding, indices and tickers as they come, until stopped.

    What is collected, and when an alarm rings, says the table `collect` of deribit-lake.toml.
    SIGTERM or Ctrl-C ends it in order, with exit code 0.

    Example: deribit-lake collect
    """
    import asyncio

    from etl.collect.run import collect as run
    from etl.errors import UsageError
    from etl.pipeline import open_to_write

    try:
        settings = settings_of(context)
        with reporting(settings, events=EVENTS) as progress:
            lake = open_to_write(settings, progress, create=True)
            asyncio.run(run(settings, lake))
    except UsageError as error:  # to start it again would not help: systemd is told so
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(USAGE) from None
