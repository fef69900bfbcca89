"""Commands that keep copies elsewhere and bring them back: backup run, restore, list."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.options import (
    AsJson,
    Wait,
    print_json,
    reporting,
    settings_of,
    stop_code_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl.backup.repository import Repository, Snapshot
    from etl.config import Settings

app = typer.Typer()
backup_app = typer.Typer(no_args_is_help=True, help="Keep copies elsewhere; bring them back.")


class Only(StrEnum):
    """What of a backup is brought back."""

    lake = "lake"
    database = "database"


@backup_app.command()
def run(context: typer.Context, wait: Wait = False, as_json: AsJson = False) -> None:
    """Back up the lake and its database by restic, as they are at one moment; forget old backups.

    The first run makes the repository. Its password and keys come from the environment:
    RESTIC_PASSWORD or RESTIC_PASSWORD_FILE, AWS_… or B2_….

    Example: deribit-lake backup run
    """
    from etl.backup.identity import check_on_disk
    from etl.backup.run import report_text
    from etl.backup.run import run as back_up
    from etl.pings import Check
    from lake.paths import open_lake

    settings = settings_of(context)
    check_on_disk(settings.place)
    repository, lake = _repository(settings), open_lake(settings.place)
    with reporting(settings):
        report = back_up(
            lake,
            repository,
            _dump(settings),
            check=Check(settings.backup.ping_url),
            wait=wait,
            stop_code=stop_code_of(context),
        )
    if as_json:
        print_json(report)
    else:
        typer.echo(report_text(report))
    raise typer.Exit(report.exit_code)


@backup_app.command()
def restore(
    context: typer.Context,
    to: Annotated[
        Path | None, typer.Option(help="Folder for the lake; default: the lake's own.")
    ] = None,
    snapshot: Annotated[
        str, typer.Option(help="Which backup: its id, or the latest of this lake.")
    ] = "latest",
    database: Annotated[
        str | None, typer.Option(help="Name of the database; default: the one of --dsn.")
    ] = None,
    only: Annotated[Only | None, typer.Option(help="Bring back only this.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Set a lake that is there aside; replace a database.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the lake and the database back, check every file, and say what is lost: exit code 3.

    With --to the database is brought back under the name --database gives, and else not at all.

    Example: deribit-lake backup restore --to restored
    """
    from etl.backfill.run import rules_of
    from etl.backup.identity import identity
    from etl.backup.restore import Part, report_text
    from etl.backup.restore import restore as bring_back
    from lake.paths import Lake

    settings = settings_of(context)
    folder = to or _own_folder(settings, is_written=only is not Only.database)
    repository = _repository(settings)
    chosen = repository.choose(snapshot, identity(Lake(settings.place)))
    wants_database = only is Only.database or (
        only is None
        and chosen.has_database
        and settings.dsn is not None
        and (to is None or database is not None)
    )
    parts: list[Part] = [] if only is Only.database else ["lake"]
    parts += ["database"] if wants_database else []
    load = _load(settings, database, force=force) if wants_database else None
    is_expected = settings.dsn is not None and settings.backup.database and to is None
    missing = only is None and is_expected and not chosen.has_database
    with reporting(settings) as progress:
        report = bring_back(
            repository,
            chosen,
            folder,
            parts=parts,
            load=load,
            missing=[_elsewhere(repository, chosen)] if missing else [],
            rules=rules_of(settings),
            progress=progress,
            force=force,
        )
    if as_json:
        print_json(report)
    else:
        typer.echo(report_text(report))
    raise typer.Exit(report.exit_code)


@backup_app.command("list")
def list_command(context: typer.Context, as_json: AsJson = False) -> None:
    """List the backups of the repository: when, how large, what is in them.

    Example: deribit-lake backup list --json
    """
    from etl.backup.listing import lines, records

    repository = _repository(settings_of(context))
    found = repository.snapshots()
    if as_json:
        print_json(records(found))
    else:
        typer.echo("\n".join(lines(found)) or f"no backups in {repository.address}")


def _own_folder(settings: "Settings", *, is_written: bool) -> Path:
    """Return the lake's own folder; of a bucket, the one of this machine for work on it.

    Raises
    ------
    UsageError
        If a lake in a bucket is to be put there.
    """
    from etl.errors import UsageError
    from lake.paths import Lake

    lake = Lake(settings.place)
    if is_written and lake.here != lake.root:
        message = (
            f"{lake.root} lies in a bucket, and a backup is brought back to a disk: give --to "
            "FOLDER; `deribit-lake push` brings it to a bucket"
        )
        raise UsageError(message)
    return lake.here


def _repository(settings: "Settings") -> "Repository":
    import os

    from etl.backup.repository import Repository
    from etl.backup.restic import restic_of

    return Repository(restic_of(settings.backup, os.environ), settings.backup)


def _dump(settings: "Settings") -> "Callable[[Path], object] | None":
    """Return what dumps the database; None where there is none, or it is not wanted."""
    if settings.dsn is None or not settings.backup.database:
        return None
    from etl.database.connection import target
    from etl.database.dump import dump

    dsn = target(settings)
    return lambda path: dump(dsn, path)


def _load(settings: "Settings", name: str | None, *, force: bool) -> "Callable[[Path], object]":
    """Return what makes a database of a dump: of that name, or of the settings' DSN.

    Raises
    ------
    UsageError
        If no database is named.
    DatabaseError
        If it may not be made: said before anything is fetched.
    """
    from etl.database.connection import target
    from etl.database.dsn import database_of
    from etl.database.restore import check_place
    from etl.database.restore import restore as load
    from etl.errors import UsageError

    dsn = target(settings)
    database = name or database_of(dsn)
    if database is None:
        message = "the DSN names no database: give --database NAME"
        raise UsageError(message)
    check_place(dsn, database, force=force)
    return lambda path: load(dsn, path, database=database, force=force)


def _elsewhere(repository: "Repository", chosen: "Snapshot") -> str:
    """Return that a backup holds no database, and which one does."""
    last = repository.last_with_database(chosen.lake)
    if last is None:
        return (
            "the database: no backup of this lake holds it; `db init`, `load` make it of the lake"
        )
    return (
        f"the database: this backup does not hold it, the last that does is {last.short}: "
        f"`backup restore --only database --snapshot {last.short}`"
    )


app.add_typer(backup_app, name="backup")
