"""How long a command takes to say its first word, beside the interpreter alone."""

import subprocess
import sys
from pathlib import Path

from benchmarks.machine import best, show

LAKE = str(Path(sys.executable).with_name("deribit-lake"))
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import typer'": [sys.executable, "-c", "import typer"],
    "deribit-lake --help": [LAKE, "--help"],
    "deribit-lake backfill perpetuals --help": [LAKE, "backfill", "perpetuals", "--help"],
    "deribit-lake --lake /nowhere status": [LAKE, "--lake", "/nowhere", "status"],
}


def main() -> None:
    """Print the table of times."""
    times = {name: best(lambda c=command: _run(c), 7) for name, command in COMMANDS.items()}
    reference = times["python -c pass"]
    show(
        "wall time of a process",
        ("command", "ms", "of the interpreter"),
        [(name, f"{s * 1e3:.0f}", f"{s / reference:.1f}") for name, s in times.items()],
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
