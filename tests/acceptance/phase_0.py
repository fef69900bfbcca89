"""Phase 0, prerequisites: environment, schema, connectivity, logs."""

import json
import re
import subprocess
import sys
import time

import httpx

from tests.acceptance.command import ROOT
from tests.acceptance.log_lines import FILLING
from tests.acceptance.smoke import Trial, smoke

LEAST_PYTHON, LEAST_POSTGRESQL = (3, 11), 14
HYPERTABLES = (
    "funding_rates", "futures_ohlcv", "index_prices", "options_greeks", "options_ohlcv",
    "perpetuals_ohlcv",
)  # fmt: skip
"""The backlog's six."""
SQL = (
    "SELECT hypertable_name, num_dimensions FROM timescaledb_information.hypertables "
    "WHERE hypertable_schema = 'public' ORDER BY hypertable_name;"
)
EXTENSION = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
WRITERS, LINES = 4, 14_000
"""Processes and lines of each, a thousand bytes long: more than 50 MB."""
FILE_BYTES, LINE_BYTES, BACKUPS = 10 * 1024 * 1024, 1_000, 5


@smoke("SMK-001", tasks=("T-001", "T-002"), criteria=("AC-002",))
def database_is_ready(trial: Trial) -> None:
    """Python, PostgreSQL and TimescaleDB run, and the six tables are hypertables."""
    stage = trial.stage
    server = stage.psql("-At", "-c", "SHOW server_version").strip()
    extension = stage.psql("-At", "-c", EXTENSION).strip()
    versions = {
        "python3 --version": stage.run("python3", "--version").strip(),
        "psql --version": stage.psql("--version").strip(),
        "SHOW server_version": server,
        EXTENSION: extension,
        "deribit-lake db status": stage.run("deribit-lake", "db", "status"),
    }
    text = "\n".join(f"$ {asked}\n{told}\n" for asked, told in versions.items())
    trial.write("T-001-environment-setup.txt", text)
    python = tuple(map(int, re.findall(r"\d+", versions["python3 --version"])[:2]))
    trial.holds("Python is new enough", python >= LEAST_PYTHON, python)
    trial.holds("PostgreSQL is", int(server.split(".")[0]) >= LEAST_POSTGRESQL, server)
    trial.holds("TimescaleDB is there", re.match(r"2\.\d+", extension) is not None, extension)

    told = stage.psql("-c", SQL)
    comments = "\n".join(f"-- {line}" for line in told.rstrip().splitlines())
    trial.write("T-002-schema-validation.sql", f"{SQL}\n{comments}\n")
    names = stage.psql("-At", "-c", SQL).split()
    trial.equal("hypertables", tuple(name.partition("|")[0] for name in names), HYPERTABLES)
    again = stage.run("deribit-lake", "db", "init")
    trial.holds("a second init changes nothing", again.startswith("nothing to do"), again)


@smoke("SMK-002", tasks=("T-003",), criteria=("AC-001",))
def exchange_answers(trial: Trial) -> None:
    """The exchange is asked whether it is there, and the answer says so; a dead one is one line."""
    stage = trial.stage
    exchange = stage.open_exchange(now=None)
    began_ms = time.time() * 1000
    told = json.loads(stage.run("just", "test_connectivity", host=exchange.url))
    trial.write("T-003-connectivity.json", f"{json.dumps(told, indent=2)}\n")
    trial.equal("status", told["status"], "ok")
    answer = httpx.get(f"{exchange.url}/api/v2/public/test", trust_env=False).json()
    trial.equal(
        "version, as the exchange's API v2 says", told["api_version"], answer["result"]["version"]
    )
    trial.holds("it is now", abs(told["timestamp"] - began_ms) < 60_000, told["timestamp"])
    asked = exchange.stats()["by_method"]
    trial.equal("public/test was asked, by the product and by us", asked.get("public/test"), 2)

    dead = stage.outcome("deribit-lake", "ping", host="http://127.0.0.1:9")
    trial.equal("nobody there ends with", dead.returncode, 1)
    last = dead.stderr.strip().splitlines()[-1]
    trial.holds("and a line that says so", last.startswith("error: http://127.0.0.1:9"), last)


@smoke("SMK-003", tasks=("T-004",), criteria=("AC-003",))
def logs_rotate(trial: Trial) -> None:
    """Four processes log 50 MB into one file, which is rotated at 10 MB, and no line is lost."""
    folder = trial.evidence.folder / "T-004-logs"
    for old in folder.glob("app.log*"):
        old.unlink()
    words = [sys.executable, "-m", "tests.acceptance.log_lines", str(folder)]
    writers = [subprocess.Popen([*words, str(one), str(LINES)], cwd=ROOT) for one in range(WRITERS)]
    trial.equal("the writers end with", [one.wait(120) for one in writers], [0] * WRITERS)

    files = sorted(folder.glob("app.log*"))
    sizes = {path.name: path.stat().st_size for path in files}
    trial.write("T-004-log-rotation.txt", "".join(f"{n} {size}\n" for n, size in sizes.items()))
    total = sum(sizes.values())
    trial.holds("50 MB were written", total > 50e6, total)
    most = FILE_BYTES + LINE_BYTES  # a file is full with the line that makes it so
    trial.holds("no file is above 10 MB and a line", max(sizes.values()) <= most, sizes)
    names = tuple(sizes)
    trial.equal("files", names, ("app.log", *(f"app.log.{n}" for n in range(1, len(files)))))
    trial.holds("at most five backups", 4 <= len(files) - 1 <= BACKUPS, names)
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    shape = re.compile(rf"\S+Z - etl\.acceptance - INFO - (\d) (\d+) {FILLING}")
    found = [shape.fullmatch(line) for line in lines]
    kept = {(one[1], one[2]) for one in found if one is not None}
    trial.equal("lines that are whole and different", len(kept), WRITERS * LINES)
    trial.equal("lines in all", len(lines), WRITERS * LINES)
