"""The generated parts of the docs: ``just docs`` writes them, and a test holds them fresh."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer.main
from typer import rich_utils

from cli import app
from etl.config import Settings
from tests.schema import write_dictionary

DOCS = Path(__file__).parents[1] / "docs"
CLI, OPERATIONS = DOCS / "cli.md", DOCS / "operations.md"
HEAD = """\
# Command line

Generated from `--help` by `just docs`; a test fails where the two differ.

Global options come before the command: `deribit-lake --lake /data/deribit status`.

| exit code | meaning |
|---|---|
| 0 | done; where there is a verdict, it is COMPLETE; `quality` and `verify` found nothing wrong |
| 1 | an error, said in one line on stderr; or `verify`, `quality`, `db status` … found one |
| 2 | the command line cannot be read |
| 3 | the verdict is INCOMPLETE: something is missing; or `validate-greeks`: FAIL |
| 4 | the verdict is UNKNOWN: too little is held, or the ledger does not vouch for the files |
| 130, 143, 129 | stopped by Ctrl-C, `kill` or a closed terminal; what was fetched is kept |
"""
SETTINGS = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- end of settings -->)", re.DOTALL)


def main() -> None:
    """Write what is generated."""
    CLI.write_text(cli_page(), encoding="utf-8")
    page = OPERATIONS.read_text(encoding="utf-8")
    OPERATIONS.write_text(SETTINGS.sub(lambda _: settings_table(), page), encoding="utf-8")
    write_dictionary()


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
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(
            f"| `{name}` | `DERIBIT_LAKE_{name.upper()}` | {default} | {field.description} |"
        )
    return "\n".join(rows) + "\n"


def _below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, sub in getattr(command, "commands", {}).items():
        if not sub.hidden:
            yield from _below(sub, (*path, name))


if __name__ == "__main__":
    main()
