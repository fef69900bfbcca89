"""The command that holds our Greeks against the exchange's own: validate-greeks."""

from pathlib import Path
from typing import Annotated

import typer

from etl.commands.options import INCOMPLETE, UNKNOWN, AsJson, lake_of, print_json

app = typer.Typer()
USUAL_DAYS = 30


@app.command("validate-greeks")
def validate_greeks(
    context: typer.Context,
    days: Annotated[
        str | None, typer.Option(help="How many of the last days held; default: 30.")
    ] = None,
    currency: Annotated[
        str | None,
        typer.Option(help="What the options settle in, by commas: BTC,ETH; default: all held."),
    ] = None,
    start: Annotated[str | None, typer.Option(help="First moment, UTC.")] = None,
    end: Annotated[str | None, typer.Option(help="First moment after, UTC.")] = None,
    age: Annotated[
        str,
        typer.Option(help="Seconds the exchange's Greeks are older than their ticker, or auto."),
    ] = "0",
    stale: Annotated[
        float, typer.Option(min=0, help="Seconds a ticker may be older than its snapshot.")
    ] = 30.0,
    out: Annotated[Path, typer.Option(help="Folder of the tables and the page.")] = Path(
        "reports/greeks"
    ),
    as_json: AsJson = False,
) -> None:
    """Compare our Greeks of the tickers held with Deribit's: tables, a page, a verdict.

    The exit code is 0 if every bucket of moneyness and days to expiry passes, 3 if one fails, 4 if
    none has rows enough.

    Example: deribit-lake validate-greeks --days 30 --currency BTC,ETH
    """
    from etl.backfill.wish import words
    from etl.check.greeks import parse_age, parse_days, validate, write_tables
    from etl.check.greeks_page import write_page
    from etl.check.greeks_summary import as_data, summary, worst
    from etl.errors import UsageError
    from etl.when import parse_span

    span = parse_span(start, end)
    if days is not None and span is not None:
        message = "--days counts back from the last day held: give it, or --start and --end"
        raise UsageError(message)
    report = validate(
        lake_of(context),
        words(currency, "--currency"),
        days=USUAL_DAYS if days is None else parse_days(days),
        span=span,
        age_s=parse_age(age),
        stale_s=stale,
    )
    write_tables(report, out)
    write_page(report, out)
    if as_json:
        print_json(as_data(report))
    else:
        typer.echo(summary(report))
        typer.echo(f"wrote {out}")
    if report.verdict == "FAIL":
        typer.echo(worst(report), err=True)
    raise typer.Exit({"PASS": 0, "FAIL": INCOMPLETE, "UNKNOWN": UNKNOWN}[report.verdict])
