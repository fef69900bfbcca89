"""Settings files, written from the settings themselves: what is commented out is the default."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from etl.config import SECRETS, Keep, KeepOwn, Settings
from etl.errors import EtlError
from lake.write import publish_bytes

HEAD = """\
# Settings of deribit-lake. What is commented out is the default; `deribit-lake sync` brings up
# what the section [keep] says. Secrets stand in the environment: DERIBIT_LAKE_DSN, say."""
FIRST = {f"keep.{name}": Keep.model_fields[name].default for name in ("datasets", "instruments")}
"""What a file to start with says, so that it is seen and changed first."""
OWN = "#[keep.options]  # what is other for one dataset stands in a table named after it"


def write_settings(path: Path, *, force: bool = False) -> None:
    """Write a settings file to start with.

    Raises
    ------
    EtlError
        If something is there that is not to be written over, or there is no folder to write to.
    """
    if path.exists() and (path.is_dir() or not force):
        message = f"{path} is there already: --force writes over a file"
        raise EtlError(message)
    if not path.absolute().parent.is_dir():
        message = f"cannot write {path}: there is no folder {path.parent}"
        raise EtlError(message)
    publish_bytes(settings_text(HEAD, FIRST).encode(), path)


def settings_text(head: str, said: Mapping[str, Any]) -> str:
    """Return a settings file: what is `said`, by dotted name, and all else as a comment."""
    lines, table = [head], ""
    for path, field in settings_of(Settings):
        above, _, name = path.rpartition(".")
        if path in SECRETS:  # they stand in the environment, and in no file others may read
            continue
        if above != table:
            lines += [] if table != "keep" else _own()
            table = above
            lines.append(f"\n[{table}]")
        is_said = path in said
        value = said[path] if is_said else "…" if field.default is None else field.default
        mark = "" if is_said else "# "
        lines.append(f"{mark}{name} = {as_toml(value)}  # {field.description}")
    lines += [] if table != "keep" else _own()
    return "\n".join(lines) + "\n"


def settings_of(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting with its dotted name; those of a table come last."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from settings_of(type(field.default), f"{above}{name}.")
        else:
            yield f"{above}{name}", field


def as_toml(value: Any) -> str:
    """Return a value as it stands in a settings file."""
    return json.dumps(to_jsonable_python(value), ensure_ascii=False)


def _own() -> list[str]:
    """Return what a table of one dataset may say: an example, and no default."""
    fields = KeepOwn.model_fields.items()
    return [OWN, *(f"#{name} = …  # {field.description}" for name, field in fields)]
