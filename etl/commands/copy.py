"""Commands that keep a copy of the lake in a bucket, and bring one here: push, pull."""

from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.options import AsJson, DryRun, Wait, print_json, reporting, settings_of

if TYPE_CHECKING:
    from etl.config import Settings
    from etl.mirror.look import Ask
    from etl.mirror.report import CopyReport
    from lake.paths import Lake

app = typer.Typer()
Address = Annotated[str, typer.Argument(help="s3://bucket/prefix")]
NoRaw = Annotated[
    bool, typer.Option("--no-raw", help="Without raw: a copy to read from, and no more.")
]
Datasets = Annotated[
    list[str] | None,
    typer.Option("--dataset", "--table", help="With --no-raw: only this, by name; repeatable."),
]
Since = Annotated[
    str | None, typer.Option(help="With --no-raw: only partitions that reach beyond it, UTC.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Lose what the copy has and the lake it is of has not.")
]
Relist = Annotated[
    bool, typer.Option("--relist", help="Believe nothing of what went before: list all of it.")
]


@app.command()
def push(
    context: typer.Context,
    address: Address,
    no_raw: NoRaw = False,
    datasets: Datasets = None,
    since: Since = None,
    force: Force = False,
    relist: Relist = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Bring a copy in a bucket up to the lake: what changed goes there, and nothing else.

    Example: deribit-lake push s3://bucket/lake --dry-run
    """
    from etl.mirror.run import push as send
    from etl.pipeline import open_to_write
    from lake.paths import Lake, open_lake

    settings = settings_of(context)
    ask = _ask(no_raw, datasets, since, force=force, relist=relist, dry_run=dry_run, wait=wait)
    with reporting(settings) as progress:
        bucket = _bucket(settings, address)
        lake = Lake(Lake(settings.place).on_disk)
        if ask.dry_run:
            open_lake(lake.root)
        else:
            open_to_write(settings, progress, makes_rows=False)
        _print(send(lake, bucket, progress, ask), as_json=as_json)


@app.command()
def pull(
    context: typer.Context,
    address: Address,
    no_raw: NoRaw = False,
    datasets: Datasets = None,
    since: Since = None,
    force: Force = False,
    relist: Relist = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Bring the lake here up to a bucket's; into an empty folder it is a copy.

    Example: deribit-lake pull s3://bucket/lake --no-raw
    """
    from etl.mirror.run import pull as fetch
    from lake.paths import Lake

    settings = settings_of(context)
    ask = _ask(no_raw, datasets, since, force=force, relist=relist, dry_run=dry_run, wait=wait)
    with reporting(settings) as progress:
        lake = Lake(Lake(settings.place).on_disk)
        _print(fetch(lake, _bucket(settings, address), progress, ask), as_json=as_json)


def _bucket(settings: "Settings", address: str) -> "Lake":
    """Return the lake at an address.

    Raises
    ------
    UsageError
        If it is none of a bucket.
    """
    from etl.errors import UsageError
    from lake.paths import Lake
    from lake.store.place import is_address

    if not is_address(address):
        message = f"expected s3://bucket/prefix, got {address!r}"
        raise UsageError(message)
    try:
        return Lake(settings.s3.place(address))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _ask(no_raw: bool, datasets: list[str] | None, since: str | None, **flags: bool) -> "Ask":
    """Return what is asked for.

    Raises
    ------
    UsageError
        If a part is asked for, with its raw.
    """
    from etl.catalog import find
    from etl.errors import UsageError
    from etl.mirror.look import Ask
    from etl.when import parse_moment

    if (datasets or since) and not no_raw:
        message = "a part of a lake is a copy to read from: give --no-raw with --dataset or --since"
        raise UsageError(message)
    names = frozenset(find(name).name for name in datasets or [])
    since_ms = None if since is None else parse_moment(since, "--since")
    return Ask(without_raw=no_raw, datasets=names, since_ms=since_ms, **flags)


def _print(report: "CopyReport", *, as_json: bool) -> None:
    from etl.mirror.report import report_text

    if as_json:
        print_json(report)
    else:
        typer.echo(report_text(report))
