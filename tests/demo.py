"""``just demo``: the product's own commands against the simulated exchange, from nothing to proof.

Every command is shown as it is run. A second run fetches only what the first one lacks.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.exchange.running import NOW, running

FOLDER = Path("demo")
LAKE = FOLDER / "lake"
REPORT = FOLDER / "demo.html"
DAYS = (
    "SELECT timestamp::DATE AS day, instrument, open, high, low, close, minutes "
    "FROM perpetuals_1d ORDER BY day DESC, instrument LIMIT 6"
)
DEAREST_HOURS = (
    "SELECT f.timestamp, f.instrument, f.interest_1h, f.index_price, c.close, c.volume "
    "FROM funding_rates f JOIN perpetuals_1h c "
    "ON c.instrument = f.instrument AND c.timestamp = f.timestamp - INTERVAL 1 HOUR "
    "ORDER BY abs(f.interest_1h) DESC, f.timestamp LIMIT 5"
)
MOST_DAYS = 3_650


def main() -> None:
    """Run the demo for as many days as the first argument says."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the exchange is stopped too
    days = _days(sys.argv[1:])
    started = time.monotonic()
    start = datetime.fromisoformat(NOW).astimezone(UTC) - timedelta(days=days)
    say(f"Deribit, simulated, as of {NOW}; {days} days of one-minute candles into {LAKE}")
    with running() as exchange:
        lake = ["--host", exchange.url, "--lake", str(LAKE)]
        for dataset in ("perpetuals", "funding"):
            run(*lake, "backfill", dataset, "--start", f"{start:%Y-%m-%d}")
    run("--lake", str(LAKE), "quality", "--out", str(FOLDER / "reports"))
    run("--lake", str(LAKE), "query", DAYS)
    run("--lake", str(LAKE), "query", DEAREST_HOURS)
    run("--lake", str(LAKE), "report", "--dataset", "perpetuals_ohlcv", "--out", str(REPORT))
    run("--lake", str(LAKE), "status")
    summarize(time.monotonic() - started)


def run(*arguments: str) -> None:
    """Show and run one command; its failure is ours."""
    say(f"\n$ deribit-lake {shlex.join(arguments)}".replace("'", '"'))
    code = subprocess.run(command(*arguments), env=environment(), check=False).returncode
    if code:
        sys.exit(code)


def summarize(seconds: float) -> None:
    """Say what the lake holds now, by the machine's own words, and fail unless all is COMPLETE."""
    answer = subprocess.run(
        command("--lake", str(LAKE), "status", "--json"),
        env=environment(),
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    found = json.loads(answer)["instruments"]
    say("\nsummary")
    for status in found:
        say(f"  {status['dataset']:16}  {status['instrument']:13}  {status['verdict']}")
    size = sum(path.stat().st_size for path in LAKE.glob("clean/**/*.parquet"))
    rows = sum(status["rows"] for status in found)
    say(f"  {rows:,} rows in {size / 1e6:.1f} MB of Parquet, after {seconds:.0f} s")
    say(f"  open {REPORT}; the lake is yours to ask: deribit-lake --lake {LAKE} sql")


def command(*arguments: str) -> list[str]:
    """Return the command line of the product in this environment."""
    return [str(Path(sys.executable).with_name("deribit-lake")), *arguments]


def environment() -> dict[str, str]:
    """Return our environment without settings of the user's own lake."""
    own = {name: value for name, value in os.environ.items() if "DERIBIT_LAKE_" not in name}
    return own | {"DERIBIT_LAKE_LOG_DIR": str(FOLDER / "logs")}


def say(text: str) -> None:
    """Print a line at once, so that it stands before what a command prints."""
    print(text, flush=True)


def _days(arguments: list[str]) -> int:
    text = arguments[0] if arguments else "90"
    if not text.isdecimal() or not 1 <= int(text) <= MOST_DAYS:
        sys.exit(f"days {text!r}: expected a whole number from 1 to {MOST_DAYS:,}")
    return int(text)


if __name__ == "__main__":
    main()
