"""Commands that look after the database: db up, down, status, init, migrate, psql."""

from typing import Annotated

import typer

from etl.commands.options import ERROR, AsJson, print_json, settings_of

app = typer.Typer()
db_app = typer.Typer(no_args_is_help=True, help="Look after the database.")


@db_app.command()
def up(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on loopback; default: a free one.")
    ] = None,
) -> None:
    """Start a TimescaleDB of your own, from Debian's packages; nothing is installed.

    Example: deribit-lake db up
    """
    from etl.database import server

    folder = settings_of(context).db_dir
    state = server.up(folder, port)
    typer.echo(f"TimescaleDB runs at {state.dsn} (pid {state.pid})")
    if folder.is_symlink():
        typer.echo(f"its files lie in {state.log.parent}, and {folder} leads there")


@db_app.command()
def down(context: typer.Context) -> None:
    """Stop the server that `db up` started; its data stays.

    Example: deribit-lake db down
    """
    from etl.database import server

    pid = server.down(settings_of(context).db_dir)
    typer.echo("no server runs" if pid is None else f"stopped the server (pid {pid})")


@db_app.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Say which database is used, what it holds and does, and what is wrong: exit code 1.

    Example: deribit-lake db status --json
    """
    from etl.database.status import database_status, status_text

    found = database_status(settings_of(context))
    if as_json:
        print_json(found)
    else:
        typer.echo(status_text(found))
    raise typer.Exit(ERROR if found.faults else 0)


@db_app.command()
def init(context: typer.Context) -> None:
    """Make the tables, views and roles in an empty database; a second run changes nothing.

    Example: deribit-lake db init
    """
    from etl.database import migrate
    from etl.database.connection import connect, database_errors

    with database_errors(), connect(settings_of(context)) as connection:
        done = migrate.init(connection)
        policies = migrate.policies_in_force(connection)
    typer.echo("\n".join([*(done or ["nothing to do"]), policies]))


@db_app.command("migrate")
def migrate_command(context: typer.Context) -> None:
    """Bring the schema to this version; numbered files, forward only.

    Example: deribit-lake db migrate
    """
    from etl.database import migrate
    from etl.database.connection import connect, database_errors

    with database_errors(), connect(settings_of(context)) as connection:
        done = migrate.migrate(connection)
    typer.echo("\n".join(done or ["nothing to do"]))


@db_app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database; options are psql's own.

    Example: deribit-lake db psql -c "SELECT count(*) FROM perpetuals_ohlcv"
    """
    import os

    from etl.database.connection import psql_call

    program, words, environment = psql_call(settings_of(context))
    os.execve(program, [*words, *context.args], environment)  # noqa: S606  psql takes over


app.add_typer(db_app, name="db")
