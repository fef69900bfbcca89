"""The generated parts of docs/ and deploy/: ``just docs`` writes them, a test holds them fresh."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer.main
from pydantic_core import to_jsonable_python
from typer import rich_utils

from benchmarks import sizing_page
from cli import app
from etl.config import Settings
from etl.sync.starting import as_toml, settings_of, settings_text
from tests.schema import write_dictionary
from tests.troubles import write_findings

DOCS = Path(__file__).parents[1] / "docs"
CLI, OPERATIONS = DOCS / "cli.md", DOCS / "operations.md"
INSTALLED = DOCS.parent / "deploy" / "deribit-lake.toml"
HEAD = """\
# Command line

Generated from `--help` by `just docs`; a test fails where the two differ.

Global options come before the command: `deribit-lake --lake /data/deribit status`.

| exit code | meaning |
|---|---|
| 0 | done; where there is a verdict, it is COMPLETE; `quality` and `verify` found nothing wrong |
| 1 | an error, said in one line on stderr; or `verify`, `doctor`, `db status` … found one |
| 2 | the command line cannot be read |
| 3 | INCOMPLETE; `backup`: some files unread or lost; `validate-greeks`: FAIL; `--live`: an alarm |
| 4 | UNKNOWN: too little is held or vouched for; `status --live`: nobody answers |
| 130, 143, 129 | stopped by Ctrl-C, `kill` or a closed terminal; what was fetched is kept |
| 141 | nobody reads stdout any more |
"""
HEAD_OF_INSTALLED = """\
# Settings of the collector and of the command `deribit-lake`; what is commented out is the default.
# Generated from the code; an upgrade leaves yours alone. Secrets: /etc/deribit-lake/environment."""
FOLDERS = {
    "root": "/var/lib/deribit-lake/lake",
    "log_dir": "/var/log/deribit-lake",
    "db_dir": "/var/lib/deribit-lake/db",
}
SETTINGS = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- end of settings -->)", re.DOTALL)


def main() -> None:
    """Write what is generated."""
    CLI.write_text(cli_page(), encoding="utf-8")
    page = OPERATIONS.read_text(encoding="utf-8")
    OPERATIONS.write_text(SETTINGS.sub(lambda _: settings_table(), page), encoding="utf-8")
    INSTALLED.write_text(installed_settings(), encoding="utf-8")
    write_dictionary()
    write_findings()
    sizing_page.main()


def cli_page() -> str:
    """Return the page of all commands."""
    sections = (
        f"## {' '.join(('deribit-lake', *path))}\n\n```text\n{help_of(path)}\n```\n"
        for path in command_paths()
    )
    return "\n".join([HEAD, *sections])


def command_paths() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command: none for the root, then each group and command."""
    yield from _below(typer.main.get_command(app), ())


def docstring_of(path: tuple[str, ...]) -> str:
    """Return what a command's function says of itself."""
    command: Any = typer.main.get_command(app)
    for word in path:
        command = command.commands[word]
    return command.help or ""


def help_of(path: tuple[str, ...]) -> str:
    """Return what ``deribit-lake … --help`` prints on a terminal of 100 columns."""
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    with patch.dict(os.environ, plain), patch.object(rich_utils, "MAX_WIDTH", 100):
        command = typer.main.get_command(app)
        with redirect_stdout(io.StringIO()) as told:
            command.main([*path, "--help"], "deribit-lake", standalone_mode=False)
    return "\n".join(line.rstrip() for line in told.getvalue().strip("\n").splitlines())


def settings_table() -> str:
    """Return every setting with its environment variable, default and meaning."""
    rows = ["| setting | environment | default | what it is |", "|---|---|---|---|"]
    for path, field in settings_of(Settings):
        variable = f"DERIBIT_LAKE_{path.replace('.', '__').upper()}"
        default = "" if field.default is None else f"`{_plain(field.default)}`"
        rows.append(f"| `{path}` | `{variable}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def installed_settings() -> str:
    """Return deribit-lake.toml as it is installed: folders, and all other defaults as comments."""
    return settings_text(HEAD_OF_INSTALLED, FOLDERS)


def _plain(value: Any) -> str:
    told = to_jsonable_python(value)
    return told if isinstance(told, str) else as_toml(value)


def _below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, sub in getattr(command, "commands", {}).items():
        if not sub.hidden:
            yield from _below(sub, (*path, name))


if __name__ == "__main__":
    main()
