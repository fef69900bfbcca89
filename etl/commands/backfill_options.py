"""`backfill options`: trades of whole chains, with words that choose some of a chain."""

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etl.commands.backfill import (
    Workers,
    complete,
    print_estimate,
    say,
    wish_of,
)
from etl.commands.options import (
    AndLoad,
    AsJson,
    DryRun,
    End,
    Start,
    Wait,
    print_status,
    reporting,
    set_for_run,
    settings_of,
)

if TYPE_CHECKING:
    from etl.instruments.chain import Filter

app = typer.Typer()
CANDLES = "options_ohlcv"
_RANGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*\.\.\s*(\d+(?:\.\d+)?)\s*")


class Kind(StrEnum):
    """What is fetched of options."""

    trades = "trades"
    chart = "chart"


@app.command("options")
def backfill_options(
    context: typer.Context,
    currency: Annotated[
        str, typer.Option(help="What the options settle in, by commas: BTC,ETH,USDC,SOL.")
    ] = "BTC,ETH,USDC",
    start: Start = None,
    end: End = None,
    expiry: Annotated[
        str | None, typer.Option(help="Days of expiry, by commas: 2024-12-27.")
    ] = None,
    strikes: Annotated[
        str | None, typer.Option(help="Strike / index at the trade, as 0.5..2.0.")
    ] = None,
    min_strike: Annotated[float | None, typer.Option(help="Lowest strike.")] = None,
    max_strike: Annotated[float | None, typer.Option(help="Highest strike.")] = None,
    side: Annotated[str | None, typer.Option("--type", help="call, put or both.")] = None,
    active_only: Annotated[
        bool, typer.Option("--active-only", help="Only options that live.")
    ] = False,
    expired: Annotated[bool, typer.Option("--expired", help="Only options that expired.")] = False,
    source: Annotated[
        Kind, typer.Option(help="All trades, or the exchange's candles of named options.")
    ] = Kind.trades,
    instruments: Annotated[
        str | None, typer.Option(help="With --source chart: the options, by commas.")
    ] = None,
    workers: Workers = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    load: AndLoad = False,
    as_json: AsJson = False,
) -> None:
    """Fetch every trade of options, living and expired, and make candles of them.

    What chooses some of a chain narrows the time that is fetched and what is counted: a page has
    the trades of all options, and all are kept.

    Example: deribit-lake backfill options --currency BTC --start 2024-06-01 --expiry 2024-12-27
    """
    from etl.backfill.wish import days_of
    from etl.instruments.chain import Filter

    set_for_run(context, connections=workers)
    chosen = Filter(
        expiries=days_of(expiry, "--expiry"),
        low=min_strike,
        high=max_strike,
        sides=_sides(side),
        moneyness=_moneyness(strikes),
        is_active=active_only,
        is_expired=expired,
    )
    flags: dict[str, Any] = {"wait": wait, "dry_run": dry_run, "load": load, "as_json": as_json}
    if source == Kind.chart or instruments is not None:
        _backfill_chart(context, source, instruments, chosen, (start, end), flags)
    elif chosen.is_empty:
        wish = wish_of("option_trades", start, end, currencies=currency)
        complete(context, wish, **flags, loaded_as=CANDLES)
    else:
        _backfill_some(context, currency, chosen, (start, end), flags)


def _backfill_chart(
    context: typer.Context,
    source: Kind,
    instruments: str | None,
    chosen: "Filter",
    bounds: tuple[str | None, str | None],
    flags: dict[str, Any],
) -> None:
    """Fetch the exchange's own candles of named options."""
    from etl.errors import UsageError
    from etl.instruments.chain import check_named, named
    from etl.pipeline import open_to_write

    wish = wish_of("options_chart", *bounds, names=instruments or "")
    if source != Kind.chart or not chosen.is_empty:
        message = "--instruments names options for --source chart, which takes no other words"
        raise UsageError(message)
    settings = settings_of(context)
    with reporting(settings) as progress:
        lake = open_to_write(settings, progress, create=True)
        check_named(named(lake, wish.choice.names), wish.choice.names, lake)
    complete(context, wish, **flags)


def _backfill_some(
    context: typer.Context,
    currency: str,
    chosen: "Filter",
    bounds: tuple[str | None, str | None],
    flags: dict[str, Any],
) -> None:
    """Fetch the time some options lived in, and say what is held of them."""
    from etl import pipeline
    from etl.backfill.wish import narrowed
    from etl.catalog import find
    from etl.check.chain_status import chain_statuses
    from etl.errors import UsageError
    from etl.instruments.chain import chain, choose
    from lake.span import Span

    settings, wish = settings_of(context), wish_of("option_trades", *bounds, currencies=currency)
    names = list(wish.choice.currencies)
    with reporting(settings) as progress:
        lake, now_ms = pipeline.with_chain(settings, names, wish.end_ms, progress)
    options = choose(chain(lake).collect(), names, chosen, now_ms)
    wish = narrowed(wish, options, now_ms)
    span = Span(wish.start_ms or 0, wish.end_ms or now_ms)
    if flags["dry_run"]:
        print_estimate(context, wish, as_json=flags["as_json"])
        return
    with reporting(settings) as progress:
        lake, report, _ = pipeline.fill(
            settings,
            wish,
            progress,
            wait=flags["wait"],
            and_load=find(CANDLES) if flags["load"] else None,
        )
    say(report, as_json=flags["as_json"])
    found = chain_statuses(lake, options, "expiry", span=span, moneyness=chosen.moneyness)
    if chosen.moneyness and not any(one.rows for one in found):
        low, high = chosen.moneyness
        message = (
            f"no trade of the {len(options):,} options chosen has strike / index {low}..{high}"
        )
        raise UsageError(message)
    print_status(found, as_json=flags["as_json"])


def _sides(text: str | None) -> tuple[str, ...]:
    from etl.backfill.wish import words
    from etl.instruments.chain import SIDES
    from etl.instruments.record import check_words

    found = words(text, "--type")
    check_words("--type", found, {*SIDES})
    return tuple(found)


def _moneyness(text: str | None) -> tuple[float, float] | None:
    from etl.errors import UsageError

    if text is None:
        return None
    found = _RANGE.fullmatch(text)
    if found is None or float(found[1]) > float(found[2]):
        message = f"--strikes {text!r} is no range of strike / index: expected e.g. 0.5..2.0"
        raise UsageError(message)
    return float(found[1]), float(found[2])
