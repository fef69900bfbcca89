"""The generated parts of docs/ and deploy/: ``just docs`` writes them, a test holds them fresh."""

import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from typer import rich_utils

from cli import app
from etl.config import Settings
from tests.schema import write_dictionary

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
| 1 | an error, said in one line on stderr; or `verify`, `quality`, `db status` … found one |
| 2 | the command line cannot be read |
| 3 | the verdict is INCOMPLETE; `validate-greeks`: FAIL; `status --live`: something rings |
| 4 | the verdict is UNKNOWN: too little is held or vouched for; `status --live`: nobody answers |
| 130, 143, 129 | stopped by Ctrl-C, `kill` or a closed terminal; what was fetched is kept |
"""
HEAD_OF_INSTALLED = """\
# Settings of the collector and of the command `deribit-lake`; what is commented out is the default.
# Generated from the code; an upgrade leaves yours alone. Secrets: /etc/deribit-lake/environment."""
SECRETS = ("dsn", "ping_url")
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
    for path, field in settings_of(Settings):
        variable = f"DERIBIT_LAKE_{'__'.join(path).upper()}"
        default = "" if field.default is None else f"`{_plain(field.default)}`"
        rows.append(f"| `{'.'.join(path)}` | `{variable}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def installed_settings() -> str:
    """Return deribit-lake.toml as it is installed: folders, and all other defaults as comments."""
    lines, table = [HEAD_OF_INSTALLED], ()
    for path, field in settings_of(Settings):
        *above, name = path
        if name in SECRETS:
            continue
        if tuple(above) != table:
            table = tuple(above)
            lines.append(f"\n[{'.'.join(table)}]")
        if name in FOLDERS:
            lines.append(f"{name} = {_as_toml(FOLDERS[name])}  # {field.description}")
        else:
            default = "…" if field.default is None else field.default
            lines.append(f"# {name} = {_as_toml(default)}  # {field.description}")
    return "\n".join(lines) + "\n"


def settings_of(model: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield every setting with the words of its name; those of a table come last."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            for path, below in settings_of(type(field.default)):
                yield (name, *path), below
        else:
            yield (name,), field


def _plain(value: Any) -> str:
    told = to_jsonable_python(value)
    return told if isinstance(told, str) else _as_toml(value)


def _as_toml(value: Any) -> str:
    return json.dumps(to_jsonable_python(value), ensure_ascii=False)


def _below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, sub in getattr(command, "commands", {}).items():
        if not sub.hidden:
            yield from _below(sub, (*path, name))


if __name__ == "__main__":
    main()
