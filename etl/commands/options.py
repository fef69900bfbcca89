"""What the commands share: options, settings, a log with progress, ways to print and to leave.

Everything that takes time to import is imported by the command that needs it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etl.commands.stopping import KEPT, Stop

if TYPE_CHECKING:
    from etl.check.status import Status
    from etl.config import Settings
    from etl.dataset import Dataset, Fetched
    from etl.progress import Progress
    from lake.paths import Lake

ERROR, INCOMPLETE, UNKNOWN, INTERRUPTED = 1, 3, 4, 130
STDOUT_CLOSED = 141  # as any program that SIGPIPE ends

Instruments = Annotated[str, typer.Option(help="Names, separated by commas.")]
Start = Annotated[str | None, typer.Option(help="First moment, UTC; default: the listing.")]
End = Annotated[str | None, typer.Option(help="First moment after, UTC; default: now.")]
Resolution = Annotated[str, typer.Option(help="1, 3, 5, 10, 15, 30, 60, 120, … 720 or 1D.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another writer to finish.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and stop.")]
AndLoad = Annotated[bool, typer.Option("--load", help="Load it into the database afterwards.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DatasetName = Annotated[
    str | None,
    typer.Option("--dataset", "--table", help="One dataset, by its name; default: all."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processes that compute side by side; default: all cores, where it pays."
    ),
]


@dataclass(frozen=True)
class Flags:
    """The global options, None where not given."""

    config: Path | None
    values: dict[str, Any]
    stop: Stop = field(default_factory=Stop)

    def settings(self) -> "Settings":
        """Return the settings these options amount to."""
        from etl.config import load_settings

        return load_settings(self.config, **self.values)


def settings_of(context: typer.Context) -> "Settings":
    """Return the settings the global options of a command amount to."""
    flags: Flags = context.find_root().obj
    return flags.settings()


def lake_of(context: typer.Context) -> "Lake":
    """Return the lake the global options of a command name."""
    from lake.paths import open_lake

    return open_lake(settings_of(context).place)


def datasets_of(name: str | None) -> "list[Dataset]":
    """Return the dataset of that name, or all."""
    from etl.catalog import DATASETS, find

    return [find(name)] if name else list(DATASETS.values())


def fetched_of(name: str | None) -> "list[Fetched]":
    """Return the dataset of that name, or all that pages are fetched for."""
    from etl.catalog import fetched, find_fetched

    return [find_fetched(name)] if name else list(fetched())


def set_for_run(context: typer.Context, **values: Any) -> None:
    """Let options of a command stand for settings; None leaves the setting as it is."""
    root = context.find_root()
    root.obj = replace(root.obj, values={**root.obj.values, **values})


def stop_code_of(context: typer.Context) -> "Callable[[], int]":
    """Return what says, once a command is being stopped, which exit code it leaves with."""
    stop: Stop = context.find_root().obj.stop
    return lambda: stop.exit_code


@contextmanager
def reporting(settings: "Settings", *, events: str | None = None) -> Iterator["Progress"]:
    """Keep a log, one of events beside it where it has a name, and show progress.

    Ctrl-C ends a run cleanly.
    """
    from etl.logs import logging_to
    from etl.progress import progress_on
    from lake.write import disk_errors

    with disk_errors(settings.log_dir):
        settings.log_dir.mkdir(parents=True, exist_ok=True)
    try:
        with (
            logging_to(settings.log_dir, events=events),
            progress_on(is_terminal=sys.stderr.isatty()) as progress,
        ):
            yield progress
    except KeyboardInterrupt:
        typer.echo(KEPT, err=True)
        raise typer.Exit(INTERRUPTED) from None


def print_status(
    found: "Sequence[Status]",
    *,
    as_json: bool,
    by_currency: bool = False,
    besides: "Mapping[str, object] | None" = None,
) -> None:
    """Print the statuses, as JSON with what there is `besides`; leave with the worst verdict."""
    from etl.catalog import mender_of
    from etl.check import status

    verdict = status.overall(found)
    if as_json:
        currencies = {"currencies": status.by_currency(found)} if by_currency else {}
        print_json({"verdict": verdict, **currencies, "instruments": found, **(besides or {})})
    else:
        typer.echo(status.currency_table(found) if by_currency else status.table(found))
        typer.echo(f"verdict: {verdict}")
        if verdict == "INCOMPLETE":
            short = (one.dataset for one in found if one.verdict == verdict)
            for command in dict.fromkeys(map(mender_of, short)):
                typer.echo(f"{command} asks again for what is missing")
    raise typer.Exit({"COMPLETE": 0, "INCOMPLETE": INCOMPLETE, "UNKNOWN": UNKNOWN}[verdict])


def print_json(found: object) -> None:
    """Print a result as JSON."""
    import msgspec

    encoded = msgspec.json.encode(found, enc_hook=_plain)
    typer.echo(msgspec.json.format(encoded, indent=1).decode())


def _plain(value: object) -> str:
    """Return a path as text.

    Raises
    ------
    NotImplementedError
        If it is anything else JSON does not know.
    """
    if isinstance(value, Path):
        return str(value)
    message = f"{value!r} has no form in JSON"
    raise NotImplementedError(message)
