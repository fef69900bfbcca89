"""Where the smoke tests play: a lake, a simulated exchange and a TimescaleDB of their own."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.acceptance.command import ROOT
from tests.acceptance.scale import Scale
from tests.acceptance.server import Server, served
from tests.exchange.running import RunningExchange, running

BIN = Path(sys.executable).parent
FOREIGN = ("DERIBIT_LAKE_", "PG", "RESTIC_", "AWS_", "B2_")
"""Settings of whoever runs this: none of them reaches the product."""
LAST_LINES = 4


class CommandError(Exception):
    """A command did not end as it had to; the message has its last words."""


@dataclass
class Stage:
    """A folder that is gone in the end, and what plays in it."""

    scale: Scale
    folder: Path = field(init=False)
    settings: dict[str, str] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Make the folder."""
        name = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="deribit-lake-accept-"))
        self.folder = Path(name)
        self.folder.chmod(0o711)  # the database's user passes through
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what was started, and take the folder away."""
        self._stack.__exit__(kind, error, trace)

    @property
    def lake(self) -> Path:
        """The folder of the lake."""
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        """What a command is started with: our settings, and none of the user's own."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
        own = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(BIN.parent),
            "JUST_JUSTFILE": str(ROOT / "justfile"),
            "JUST_WORKING_DIRECTORY": str(self.folder),
            "TMPDIR": str(self.folder),  # a bucket of credits of its own
            "DERIBIT_LAKE_ROOT": str(self.lake),
            "DERIBIT_LAKE_DB_DIR": str(self.folder / "db"),
            "DERIBIT_LAKE_LOG_DIR": str(self.folder / "logs"),
            "DERIBIT_LAKE_CONFIRM_AFTER": "0",
        }
        return kept | own | self.settings

    @cached_property
    def exchange(self) -> RunningExchange:
        """The exchange as it is, with the limits it has."""
        return self.open_exchange()

    @cached_property
    def options(self) -> RunningExchange:
        """The exchange without limits, on which options trade as often as the scale wants."""
        told = {"options_since": self.scale.listed, "option_activity": self.scale.activity}
        return self.open_exchange(limits=False, **told)

    @cached_property
    def server(self) -> Server:
        """A server of its own, installed as an operator does it."""
        return self._stack.enter_context(served(self.folder / "machine"))

    def open_exchange(self, **told: Any) -> RunningExchange:
        """Start an exchange that stops with the stage."""
        return self._stack.enter_context(running(**told))

    @cached_property
    def dsn(self) -> str:
        """The database: a TimescaleDB of Debian's packages, with the schema, stopped in the end."""
        self.run("deribit-lake", "db", "up")
        self._stack.callback(self.run, "deribit-lake", "db", "down")
        self.run("deribit-lake", "db", "init")
        told: dict[str, Any] = json.loads(self.run("deribit-lake", "db", "status", "--json"))
        return str(told["dsn"])

    def psql(self, *words: str) -> str:
        """Return what psql says, which ends at the first error."""
        assert self.dsn
        return self.run("deribit-lake", "db", "psql", "-v", "ON_ERROR_STOP=1", *words)

    def count(self, sql: str) -> int:
        """Return the one number a statement answers with."""
        return int(self.psql("-At", "-c", sql))

    def lake_rows(self, sql: str) -> list[dict[str, Any]]:
        """Return what the lake answers to a query."""
        told = self.run("deribit-lake", "query", sql, "--format", "json")
        rows: list[dict[str, Any]] = json.loads(told)
        return rows

    def run(self, *words: object, host: str = "", code: int = 0, **settings: str) -> str:
        """Return what a command writes to stdout.

        Parameters
        ----------
        words : object
            The command: ``deribit-lake`` or ``just``, and its arguments.
        host : str
            The exchange it asks.
        code : int
            What it has to end with.
        settings : str
            Settings of this run, by their names in the environment.

        Raises
        ------
        CommandError
            If it ends with another exit code.
        """
        done = self.outcome(*words, host=host, **settings)
        if done.returncode != code:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:])
            message = f"`{_shown(words)}` ended with {done.returncode}, expected {code}: {said}"
            raise CommandError(message)
        return done.stdout

    def outcome(
        self, *words: object, host: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Return how a command ended, whatever its exit code."""
        return subprocess.run(
            list(map(str, words)),
            cwd=self.folder,
            env=self.told(host, **settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *words: object, host: str = "", **settings: str) -> subprocess.Popen[bytes]:
        """Start a command that is not waited for."""
        return subprocess.Popen(
            list(map(str, words)),
            cwd=self.folder,
            env=self.told(host, **settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def told(self, host: str, **settings: str) -> dict[str, str]:
        """Return the environment of a command that asks an exchange."""
        urls = ("HOST", "TREASURY_URL", "FRED_URL") if host else ()
        return self.environment | {f"DERIBIT_LAKE_{name}": host for name in urls} | settings


def _shown(words: tuple[object, ...]) -> str:
    return " ".join(map(str, words))
