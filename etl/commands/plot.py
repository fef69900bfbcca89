"""The command that draws: plot surface."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from etl.commands.options import lake_of

app = typer.Typer(no_args_is_help=True, help="Pictures, each one HTML file that opens offline.")


class MadeOf(StrEnum):
    """What a surface is made of."""

    trades = "trades"
    mids = "mids"
    marks = "marks"


@app.callback()
def _group() -> None:
    """Keep the word `surface` though there is one picture."""


@app.command()
def surface(
    context: typer.Context,
    currency: Annotated[
        str, typer.Option(help="What the options are on: BTC, ETH, or BTC_USDC for linear ones.")
    ],
    at: Annotated[str, typer.Option(help="The full hour, or the minute of a snapshot, UTC.")],
    source: Annotated[MadeOf, typer.Option(help="What it is made of.")] = MadeOf.trades,
    output: Annotated[Path, typer.Option("--output", "--out", help="HTML file to write.")] = Path(
        "surface.html"
    ),
) -> None:
    """Draw a volatility surface: in space, smile by smile, at the money, with what proves it.

    Example: deribit-lake plot surface --currency BTC --at 2025-10-16T12:00
    """
    from etl.check.surface import draw_surface
    from etl.when import parse_moment
    from lake.write import write_out

    page = draw_surface(lake_of(context), currency, parse_moment(at, "--at"), source.value)
    write_out(page.encode(), output)
    typer.echo(f"wrote {output}")
