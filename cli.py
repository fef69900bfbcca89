"""The command line: put the commands together, and turn an expected failure into one line."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from etl.commands import (
    backfill,
    backfill_options,
    backfill_rates,
    backup,
    backup_verify,
    chain,
    collect,
    compute,
    copy,
    database,
    doctor,
    greeks,
    heal,
    instruments,
    lake,
    load,
    plot,
    snapshot,
    sync,
)
from etl.commands.options import ERROR, INTERRUPTED, STDOUT_CLOSED, Flags
from etl.commands.stdout import printing
from etl.commands.stopping import Stop, stopping
from etl.errors import EtlError, StdoutClosedError
from lake.errors import LakeError
from validators.errors import ValidatorsError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The free, complete and verifiable history of Deribit on your own machine.",
    epilog="Exit codes: 0 done and COMPLETE, 1 error, 2 usage, 3 INCOMPLETE, 4 UNKNOWN, "
    "130 Ctrl-C, 141 nobody reads stdout, 143 killed.",
)


@app.callback()
def _root(
    context: typer.Context,
    lake: Annotated[
        str | None,
        typer.Option(
            help="Folder of the lake, or s3://bucket/prefix (DERIBIT_LAKE_ROOT, default ./data)."
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Base URL of the exchange (DERIBIT_LAKE_HOST).")
    ] = None,
    history_host: Annotated[
        str | None,
        typer.Option(help="Where expired instruments are listed (DERIBIT_LAKE_HISTORY_HOST)."),
    ] = None,
    dsn: Annotated[
        str | None,
        typer.Option(help="Database (DERIBIT_LAKE_DSN, PGHOST …; default: that of `db up`)."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default ./deribit-lake.toml).")
    ] = None,
) -> None:
    hosts = {"host": host, "history_host": history_host}
    stop = context.obj or Stop()  # of `main`
    context.obj = Flags(config, {"root": lake, **hosts, "dsn": dsn}, stop)


backfill.backfill_app.add_typer(backfill_options.app)
backfill.backfill_app.add_typer(backfill_rates.app)
app.add_typer(sync.app)
app.add_typer(backfill.app)
app.add_typer(heal.app)
app.add_typer(lake.app)
app.add_typer(doctor.app)
app.add_typer(compute.app)
app.add_typer(collect.app)
app.add_typer(chain.app)
app.add_typer(greeks.app)
app.add_typer(load.app)
backup.backup_app.add_typer(backup_verify.app)
app.add_typer(backup.app)
app.add_typer(copy.app)
app.add_typer(snapshot.app, name="snapshot")
app.add_typer(plot.app, name="plot")
app.add_typer(instruments.instruments_app, name="instruments")
app.add_typer(instruments.instruments_app, name="universe", hidden=True)  # its old name
app.add_typer(database.app)


def main() -> None:
    """Run the command line; an expected failure is one line on stderr and exit code 1."""
    with stopping() as stop:
        try:
            with printing():
                app(obj=stop)
        except StdoutClosedError:
            sys.exit(STDOUT_CLOSED)
        except (EtlError, LakeError, ValidatorsError) as error:
            if stop.number is None:
                typer.echo(f"error: {error}", err=True)
                sys.exit(ERROR)
        except SystemExit as left:
            if left.code == INTERRUPTED and stop.number is None:
                stop.number = signal.SIGINT
            raise
        finally:
            if stop.number is not None:
                sys.exit(stop.exit_code)


if __name__ == "__main__":
    main()
