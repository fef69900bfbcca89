"""Where each setting comes from, and what of them cannot be used, with the line it stands on."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
)
from pydantic_settings.exceptions import SettingsError

from etl.check.doctor.secrets import is_dsn, is_secret, shown
from etl.config import CONFIG_FILE, PREFIX, KeepOwn, Settings, no_json

Origin = Literal["flag", "environment", "file", "default"]
OF_TESTS = f"{PREFIX}TEST_"
_HEADER = re.compile(r"^\s*\[+\s*([^\]#]+?)\s*\]")
_KEY = re.compile(r"^\s*([\w\"'.-]+)\s*=")


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that cannot be used: where it stands, and why not."""

    kind: Literal["file", "value", "unknown"]
    name: str
    where: str
    why: str


@dataclass
class Sources:
    """What settings were given, by where they stand; what cannot be used is taken out."""

    flags: dict[str, Any]
    environment: dict[str, str]
    file: Path
    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, path: tuple[str, ...]) -> Origin:
        """Return where the value of a setting comes from."""
        if path[0] in self.flags:
            return "flag"
        if any(variable(path[:size]) in self.environment for size in range(1, len(path) + 1)):
            return "environment"
        return "default" if _at(self.values, path) is None else "file"

    def has_table(self, name: str) -> bool:
        """Whether anything of a table of settings is given."""
        own = variable((name,))
        return name in self.values or any(one.startswith(f"{own}__") for one in self.environment)

    def take_out(self, path: tuple[str, ...], why: str, kind: Literal["value", "unknown"]) -> bool:
        """Take a setting that cannot be used out of where it stands; say whether it was there."""
        for size in range(len(path), 0, -1):
            name = path[:size]
            if size == 1 and self.flags.pop(name[0], None) is not None:
                self._note(kind, name, f"option --{name[0].replace('_', '-')}", why)
                return True
            if self.environment.pop(variable(name), None) is not None:
                self._note(kind, name, f"variable {variable(name)}", why)
                return True
            if _at(self.values, name) is not None:
                line = line_of(self.text, name)
                _drop(self.values, name)
                where = f"{self.file}, line {line}" if line else str(self.file)
                self._note(kind, name, where, why)
                return True
        return False

    def _note(self, kind: Any, path: tuple[str, ...], where: str, why: str) -> None:
        self.problems.append(Problem(kind, ".".join(path), where, why))

    def strangers(self) -> list[str]:
        """Return the variables that look like settings and are none, sorted."""
        known = {variable(path[:size]) for path in names() for size in range(1, len(path) + 1)}
        free = tuple(f"{variable(path)}__" for path in open_tables())
        return sorted(
            name
            for name in self.environment
            if name not in known and not name.startswith((OF_TESTS, *free))
        )


def read_sources(
    config: Path | None, flags: Mapping[str, Any], environment: Mapping[str, str]
) -> Sources:
    """Return what settings were given, with what is wrong with the file as a whole."""
    given = {name: value for name, value in flags.items() if value is not None}
    ours = {name.upper(): text for name, text in environment.items()}
    ours = {name: text for name, text in ours.items() if name.startswith(PREFIX)}
    sources = Sources(given, ours, config or CONFIG_FILE)
    if config is None and not CONFIG_FILE.exists():
        return sources
    try:
        sources.text = sources.file.read_text(encoding="utf-8")
        sources.values = tomllib.loads(sources.text)
    except FileNotFoundError:
        sources.problems.append(Problem("file", "", str(sources.file), "there is no such file"))
    except (OSError, UnicodeDecodeError) as error:
        sources.problems.append(Problem("file", "", str(sources.file), str(error)))
    except tomllib.TOMLDecodeError as error:  # it says the line
        sources.problems.append(Problem("file", "", str(sources.file), f"no TOML: {error}"))
    return sources


def salvage(sources: Sources) -> Settings:
    """Return the settings that can be used; what cannot is taken out of the sources, and noted.

    Raises
    ------
    ValidationError, SettingsError
        If it cannot be told which one is wrong.
    """
    while True:
        try:
            return _built(sources)
        except ValidationError as error:
            taken = [_take_out(sources, one) for one in error.errors(include_url=False)]
            if not any(taken):
                raise
        except SettingsError as error:
            name = no_json(error, sources.environment) or ""
            path = tuple(name.removeprefix(PREFIX).lower().split("__"))
            why = "expected JSON, as a list is written there"
            if not sources.take_out(path, why, "value"):
                raise


def names(model: type[BaseModel] = Settings) -> Iterator[tuple[str, ...]]:
    """Yield the name of every setting, by its words."""
    for name, info in model.model_fields.items():
        if isinstance(info.default, BaseModel):
            yield from ((name, *path) for path in names(type(info.default)))
        else:
            yield (name,)


def open_tables() -> Iterator[tuple[str, ...]]:
    """Yield the tables of settings that take names of their user's, too."""
    for name, info in Settings.model_fields.items():
        if isinstance(info.default, BaseModel) and info.default.model_config["extra"] == "allow":
            yield (name,)


def variable(path: tuple[str, ...]) -> str:
    """Return the variable of the environment a setting can be given by."""
    return PREFIX + "__".join(path).upper()


def nearest(name: str) -> str:
    """Return the setting, or the variable for one, that is called most like a name."""
    is_variable = name.startswith(PREFIX)
    paths = [*names(), *dict.fromkeys(path[:1] for path in names() if path[1:])]
    known = [variable(path) if is_variable else ".".join(path) for path in paths]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return near[0] if near else "one of those docs/operations.md lists"


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line of a TOML text a key stands on, None where it cannot be told."""
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            if table == list(path):
                return number
        elif (key := _KEY.match(line)) and [*table, *_parts(key[1])] == list(path):
            return number
    return None


def value_of(settings: Settings, path: tuple[str, ...]) -> str:
    """Return the value of a setting as others may see it."""
    value: Any = settings
    for name in path:
        value = getattr(value, name)
    return shown(path[-1], value)


def _built(sources: Sources) -> Settings:
    class Given(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            assert isinstance(env_settings, EnvSettingsSource)  # noqa: S101  (for the type)
            env_settings.env_vars = {
                name.lower(): text for name, text in sources.environment.items()
            }
            return init_settings, env_settings, InitSettingsSource(settings_cls, sources.values)

    return Given(**sources.flags)


def _take_out(sources: Sources, error: Any) -> bool:
    path = tuple(part for part in error["loc"] if isinstance(part, str))
    is_unknown = error["type"] == "extra_forbidden"
    name = path[-1] if path else ""
    is_shown = _is_known(path) and not (is_secret(name) or is_dsn(name))
    value = f"{error['input']!r}: " if is_shown else ""
    why = "no such setting" if is_unknown else f"{value}{error['msg']}"
    return sources.take_out(path, why, "unknown" if is_unknown else "value")


def _is_known(path: tuple[str, ...]) -> bool:
    """Whether a path is that of a setting; what stands anywhere else may be a secret."""
    return path in names() or (path[:1] in open_tables() and path[-1] in KeepOwn.model_fields)


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(values, dict) or name not in values:
            return None
        values = values[name]
    return values


def _drop(values: dict[str, Any], path: tuple[str, ...]) -> None:
    for name in path[:-1]:
        values = values[name]
    del values[path[-1]]


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
