"""The command that fetches the yields of US bills: backfill rates."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.options import (
    AsJson,
    End,
    Wait,
    lake_of,
    print_json,
    print_status,
    reporting,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl.rates.conflicts import Conflict

app = typer.Typer()
SHOWN_CONFLICTS = 10


class RateSource(StrEnum):
    """Who is asked."""

    both = "both"
    treasury = "treasury"
    fred = "fred"


@app.command("rates")
def backfill_rates(
    context: typer.Context,
    start: Annotated[str, typer.Option(help="First day, UTC.")] = "2016-01-01",
    end: End = None,
    source: Annotated[RateSource, typer.Option(help="Who is asked.")] = RateSource.both,
    anew: Annotated[
        bool, typer.Option("--anew", help="Ask again for years that are finished, too.")
    ] = False,
    wait: Wait = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the daily yields of US Treasury bills, from the Treasury and from FRED.

    Finished years are asked for once. Where the two differ, the Treasury's yield is kept, and the
    difference is listed.

    Example: deribit-lake backfill rates --start 2019-01-01
    """
    from etl.check.status import statuses
    from etl.pipeline import derive, open_to_write
    from etl.rates.fetch import days_asked, fetch, pages_due
    from etl.rates.pages import DATASET, SOURCES
    from etl.when import clock_ms, parse_moment

    settings = settings_of(context)
    end_ms = parse_moment(end, "--end") if end else None
    days = days_asked(parse_moment(start, "--start"), end_ms, clock_ms())
    sources = SOURCES if source is RateSource.both else (source.value,)
    if dry_run:
        due = pages_due(lake_of(context), days, sources=sources, anew=anew)
        count = sum(map(len, due.values()))
        print_json({"requests": count}) if as_json else typer.echo(f"{count:,} requests")
        return
    with reporting(settings) as progress:
        lake = open_to_write(settings, progress, create=True)
        report = fetch(settings, lake, days, progress, sources=sources, anew=anew, wait=wait)
        derive(lake, [DATASET], progress, wait=wait)
    for note in report.notes:
        typer.echo(f"note: {note}", err=as_json)
    for error in report.errors:
        typer.echo(f"error: {error}", err=True)
    if not as_json:
        _show(report.conflicts)
    typer.echo(f"{report.requests:,} requests in {report.seconds:.1f} s", err=as_json)
    told = {name: getattr(report, name) for name in ("conflicts", "notes", "errors", "requests")}
    print_status(statuses(lake, DATASET), as_json=as_json, besides=told)


def _show(conflicts: "Sequence[Conflict]") -> None:
    """Print how the sources differ, the first of it."""
    for one in conflicts[:SHOWN_CONFLICTS]:
        typer.echo(
            f"conflict: {one.day} {one.tenor}: treasury {one.treasury_pct:.2f} %, "
            f"fred {one.fred_pct:.2f} %; the Treasury's is kept"
        )
    if len(conflicts) > SHOWN_CONFLICTS:
        more = len(conflicts) - SHOWN_CONFLICTS
        typer.echo(f"conflict: {more:,} more, in quarantine_treasury_bills and --json")
