"""In the collector's place under its unit: speaks systemd's protocol.

Files beside the lake tell it what to do: `refused` and `broken` end it at its start, `silent` later
keeps it from saying that data are fresh, and of `look` it makes a report on what it may do.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

STATE = Path("/var/lib/deribit-lake")


def main() -> None:
    """Say READY, then WATCHDOG until told to be silent."""
    if (STATE / "refused").exists():
        sys.stderr.write("setting root = 'nowhere': not a folder\n")
        sys.exit(2)
    if (STATE / "broken").exists():
        sys.exit(1)
    signal.signal(signal.SIGTERM, stop)
    (STATE / "silent").unlink(missing_ok=True)
    if (STATE / "look").exists():
        look(STATE / "look")
    notify("READY=1\nSTATUS=all channels fresh")
    while not (STATE / "silent").exists():
        notify("WATCHDOG=1")
        time.sleep(0.1)
    time.sleep(3600)


def stop(_number: int, _frame: FrameType | None) -> None:
    """Leave in order."""
    notify("STOPPING=1")
    sys.exit(0)


def look(report: Path) -> None:
    """Write what sandbox.py finds."""
    with report.open("w", encoding="utf-8") as file:
        subprocess.run([sys.executable, "/srv/sandbox.py"], check=True, stdout=file)


def notify(text: str) -> None:
    """Tell systemd, as sd_notify(3) says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


if __name__ == "__main__":
    main()
