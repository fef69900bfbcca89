"""The command that makes datasets from others: compute."""

from math import isfinite
from typing import Annotated

import typer

from etl.commands.options import (
    AsJson,
    End,
    Start,
    Wait,
    Workers,
    print_json,
    reporting,
    set_for_run,
    settings_of,
)

app = typer.Typer()
DAY_MINUTES = 1440


@app.command()
def compute(
    context: typer.Context,
    datasets: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to compute, by name: basis, forwards, iv, greeks, surface …; default: all."
        ),
    ] = None,
    currency: Annotated[
        str, typer.Option(help="Parts, by commas: BTC,ETH,BTC_USDC; default: all held.")
    ] = "",
    start: Start = None,
    end: End = None,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="Minutes a price may be older than its last trade; default: 60."),
    ] = None,
    blocks: Annotated[
        bool | None,
        typer.Option(
            "--blocks/--no-blocks",
            help="Whether blocks and combos make candles, Greeks and surfaces; default: no.",
            show_default=False,
        ),
    ] = None,
    forward_age: Annotated[
        float | None,
        typer.Option(
            min=0, help="Hours old what an option's forward is known from may be; default: 6."
        ),
    ] = None,
    rate_age: Annotated[
        float | None,
        typer.Option(min=1, help="Days old a rate that discounts Greeks may be; default: 7."),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1440,
            help="Minutes between surfaces of trades, a divisor of a day; default: 60.",
        ),
    ] = None,
    workers: Workers = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Compute on the workers of a Dask scheduler: tcp://HOST:PORT."),
    ] = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Compute what is new or changed: a dataset, what it is made from, and what follows of it.

    Example: deribit-lake compute basis --currency BTC --start 2024-01-01
    """
    from etl import pipeline
    from etl.backfill.wish import words
    from etl.catalog import computed, find_computed
    from etl.compute.run import Ask
    from etl.errors import UsageError
    from etl.when import parse_span

    if workers is not None and cluster is not None:
        message = "--workers and --cluster: expected one of them"
        raise UsageError(message)
    set_for_run(context, cluster=cluster)
    settings = settings_of(context)
    chosen = [find_computed(name) for name in datasets or []]
    if every is not None and DAY_MINUTES % every:
        message = f"--every {every}: expected a number of minutes that divides a day, 15 or 60 say"
        raise UsageError(message)
    said = {
        "tolerance": tolerance, "blocks": blocks, "forward_age": forward_age,
        "rate_age": rate_age, "every": every,
    }  # fmt: skip
    options = {name: float(value) for name, value in said.items() if value is not None}
    for name, value in options.items():
        if not isfinite(value):  # no ledger can hold it
            message = f"--{name.replace('_', '-')} {value}: expected a finite number"
            raise UsageError(message)
    ask = Ask(
        parts=words(currency),
        span=parse_span(start, end),
        options=options,
        by_name=bool(chosen),
        workers=workers,
        wait=wait,
    )
    with reporting(settings) as progress:
        lake = pipeline.open_to_write(settings, progress)
        wanted = chosen or list(computed())
        if settings.cluster is None or workers is not None:
            report = pipeline.compute_all(lake, wanted, progress, ask)
        else:
            report = pipeline.compute_on(settings.cluster, lake, wanted, progress, ask)
    if as_json:
        print_json(report)
        return
    for note in report.notes:
        typer.echo(f"note: {note}")
    typer.echo(
        f"{report.computed} partitions computed, {report.rows:,} rows; {report.unchanged} unchanged"
    )
