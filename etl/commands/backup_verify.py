"""`backup verify`: restore the newest backup beside what lives, and compare."""

import typer

from etl.commands.options import AsJson, print_json, reporting, settings_of, stop_code_of

app = typer.Typer()


@app.command()
def verify(context: typer.Context, as_json: AsJson = False) -> None:
    """Restore the newest backup into a scratch folder and database, and hold both against ours.

    What is newer than the backup is said, and is no fault; what is missing or differs is: exit
    code 1. Part of the repository's data is read, too, another one each week.

    Example: deribit-lake backup verify
    """
    import os

    from etl.backup.drill import drill
    from etl.backup.drill_report import report_text
    from etl.backup.identity import check_on_disk
    from etl.backup.repository import Repository
    from etl.backup.restic import restic_of

    settings = settings_of(context)
    check_on_disk(settings.place)
    repository = Repository(restic_of(settings.backup, os.environ), settings.backup)
    with reporting(settings) as progress:
        report = drill(settings, repository, progress, stop_code=stop_code_of(context))
    if as_json:
        print_json(report)
    else:
        typer.echo(report_text(report))
    raise typer.Exit(report.exit_code)
