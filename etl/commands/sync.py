"""The commands of what is kept: init, sync."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etl.commands.options import AsJson, print_json, reporting, settings_of, stop_code_of

if TYPE_CHECKING:
    from etl.config import Settings
    from etl.sync.keep import Keeping

app = typer.Typer()
USAGE = 2


@app.command()
def sync(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would cost and stop.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another sync to end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring everything up to what `keep` of the settings says: ask, compute, load, verify.

    The exit code is the verdict on what is kept: 0 COMPLETE, 3 INCOMPLETE, 4 UNKNOWN; 1 if a stage
    failed, 2 if something is kept that there is not.

    Example: deribit-lake sync
    """
    from etl.sync import plan, summary
    from etl.sync.run import sync as bring_up
    from lake.paths import open_lake

    with _refusing():
        settings, keeping = _kept(context)
        backing_up = _backing_up_anyway(context, settings, as_json=as_json, dry_run=dry_run)
        with backing_up, reporting(settings) as progress:
            if dry_run:
                found = plan.plan_of(settings, open_lake(settings.place), keeping, progress)
                print_json(found) if as_json else typer.echo(plan.told(found))
                return
            stop_code = stop_code_of(context)
            done = bring_up(settings, keeping, progress, wait=wait, stop_code=stop_code)
    print_json(done) if as_json else typer.echo(summary.told(done))
    for error in done.errors:
        typer.echo(f"error: {error}", err=True)
    backed_up = _back_up(context, as_json=as_json) if settings.keep.backup else 0
    raise typer.Exit(done.exit_code or backed_up)


@app.command()
def init(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Default: deribit-lake.toml.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file.")] = False,
) -> None:
    """Write a commented settings file: both perpetuals, funding, index; nothing is asked.

    Example: deribit-lake init
    """
    from etl.config import CONFIG_FILE
    from etl.sync.starting import write_settings

    del context
    path = file or CONFIG_FILE
    write_settings(path, force=force)
    typer.echo(f"wrote {path}: `deribit-lake sync` brings up what its section [keep] says")


@contextmanager
def _backing_up_anyway(
    context: typer.Context, settings: "Settings", *, as_json: bool, dry_run: bool
) -> Iterator[None]:
    """Run `backup run` where an error ends a sync, if one is to follow whatever comes of it.

    Not where another sync is under way, for a backup follows that one.
    """
    from etl.errors import EtlError
    from lake.errors import LakeError, PartitionBusyError

    is_wanted = settings.keep.backup and not dry_run
    try:
        yield
    except PartitionBusyError:
        raise
    except (EtlError, LakeError) as error:
        if is_wanted and context.find_root().obj.stop.number is None:
            try:
                _back_up(context, as_json=as_json)
            except (EtlError, LakeError):  # both errors are told
                typer.echo(f"error: {error}", err=True)
                raise
        raise


def _back_up(context: typer.Context, *, as_json: bool) -> int:
    """Run `backup run` and return its exit code; what it says is beside the JSON of a sync."""
    root = context.find_root()
    group: Any = root.command
    backup = group.get_command(root, "backup")
    shown = redirect_stdout(sys.stderr) if as_json else nullcontext()
    with shown, backup.make_context("backup", ["run"], parent=root) as asked:
        try:
            backup.invoke(asked)
        except typer.Exit as left:
            return left.exit_code
    return 0


@contextmanager
def _refusing() -> Iterator[None]:
    """Leave with the code of a wrong usage, and one line, where what is kept cannot be."""
    from etl.errors import UsageError

    try:
        yield
    except UsageError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(USAGE) from error


def _kept(context: typer.Context) -> "tuple[Settings, Keeping]":
    """Return the settings, and what they say is kept."""
    from etl.sync.keep import keeping_of
    from etl.when import clock_ms

    settings = settings_of(context)
    return settings, keeping_of(settings.keep, clock_ms())
