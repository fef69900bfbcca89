"""Commands that derive one dataset from others: compute basis."""

from typing import Annotated

import typer

from etl.commands.options import AsJson, End, Start, Wait, print_json, reporting, settings_of

compute_app = typer.Typer(no_args_is_help=True, help="Derive datasets from what the lake holds.")


@compute_app.callback()
def _compute() -> None:
    pass


@compute_app.command("basis")
def compute_basis(
    context: typer.Context,
    currency: Annotated[
        str, typer.Option(help="Underlyings, by commas: BTC,ETH,BTC_USDC; default: all held.")
    ] = "",
    start: Start = None,
    end: End = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Minutes a price may be older than its last trade.")
    ] = 60,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Compute the basis of dated futures per minute, and the term structure it makes.

    Example: deribit-lake compute basis --currency BTC --start 2024-01-01
    """
    from datetime import timedelta

    from etl.backfill.run import words
    from etl.compute import compute_basis as compute
    from etl.when import parse_span
    from lake.paths import open_lake

    settings = settings_of(context)
    with reporting(settings) as progress:
        report = compute(
            open_lake(settings.root),
            progress,
            currencies=words(currency),
            span=parse_span(start, end),
            tolerance=timedelta(minutes=tolerance),
            wait=wait,
        )
    if as_json:
        print_json(report)
        return
    for note in report.notes:
        typer.echo(f"note: {note}")
    typer.echo(
        f"{report.months_computed} months computed, {report.rows:,} rows; "
        f"{report.months_unchanged} months unchanged"
    )
