"""The command that asks again for what is missing."""

from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.backfill import finish
from etl.commands.options import AsJson, DatasetName, Wait, fetched_of, reporting, settings_of

if TYPE_CHECKING:
    from etl.backfill.run import Again

app = typer.Typer()


@app.command()
def heal(
    context: typer.Context,
    dataset: DatasetName = None,
    now: Annotated[
        bool, typer.Option("--now", help="Look now at what waits for a later look.")
    ] = False,
    again: Annotated[
        str | None,
        typer.Option(help="Look again at what is settled: absent, before_first_trade, outage."),
    ] = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Ask again for what is missing and unsettled, and for rows that may have been revised.

    Example: deribit-lake heal --dataset perpetuals_ohlcv --again absent
    """
    from etl import pipeline

    settings, chosen, sooner = settings_of(context), fetched_of(dataset), _again(again, now=now)
    with reporting(settings) as progress:
        lake, report = pipeline.heal(settings, chosen, progress, wait=wait, again=sooner)
    finish(lake, chosen, report, as_json=as_json)


def _again(reasons: str | None, *, now: bool) -> "Again":
    """Return what is looked at before its time.

    Raises
    ------
    UsageError
        If a reason is none that is settled by what the exchange said.
    """
    from etl.backfill.run import Again
    from etl.backfill.wish import words
    from etl.errors import UsageError
    from etl.proof.protocol import SETTLED_BY_ANSWERS

    found = words(reasons, "--again")
    for reason in found:
        if reason not in SETTLED_BY_ANSWERS:
            message = f"--again {reason!r}: expected {', '.join(SETTLED_BY_ANSWERS)}"
            raise UsageError(message)
    return Again(is_now=now, reasons=frozenset(found))
