"""A collector as a process of its own, in accelerated time, beside a simulated exchange."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.accelerated import Clock
from tests.exchange.running import RunningExchange, running

NOW = "2025-10-18T06:00:00Z"
ROOT = Path(__file__).parents[3]
PERPETUALS = ("BTC-PERPETUAL", "ETH-PERPETUAL")
KINDS = ("candles", "trades", "funding", "index", "dvol")
PATIENCE_S = 200.0  # of ours


@dataclass
class Collecting:
    """A collector: where its lake is, what it is told, and its process."""

    root: Path
    url: str
    clock: Clock
    told: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def lake(self) -> Path:
        """The folder of its lake."""
        return self.root / "data"

    def start(self) -> "Collecting":
        """Begin, or begin again."""
        (self.root / "logs").mkdir(parents=True, exist_ok=True)
        with (self.root / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "collect"],
                env=self._environment(),
                cwd=ROOT,
                stderr=errors,
                stdin=subprocess.DEVNULL,
            )
        return self

    def _environment(self) -> dict[str, str]:
        # our own milliseconds are seconds there, of the disk and of the event loop
        limits = {"write_limit": 600, "clock_limit": 60}
        collect = {"instruments": PERPETUALS, "kinds": KINDS, "listen": "", **limits, **self.told}
        settings = {
            "root": str(self.lake),
            "log_dir": str(self.root / "logs"),
            "host": self.url,
            "credit_refill": "10000000",
            "credit_capacity": "50000000",
            "confirm_after": "0",
            **{f"collect__{name}": _said(value) for name, value in collect.items()},
        }
        mine = {f"DERIBIT_LAKE_{name.upper()}": value for name, value in settings.items()}
        return {**os.environ, **self.clock.environment, **mine}

    def wait(self, seconds: float) -> None:
        """Let some of its seconds go by."""
        time.sleep(seconds / self.clock.speed)

    def until(self, text: str, count: int = 1) -> None:
        """Wait until its log says something so many times."""
        end = time.monotonic() + PATIENCE_S
        while self.log.count(text) < count:
            if time.monotonic() > end:
                message = f"the log does not say {text!r}:\n{self.log}"
                raise TimeoutError(message)
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """What it logged so far."""
        path = self.root / "stderr"
        return path.read_text() if path.exists() else ""

    def kill(self) -> None:
        """End it as a machine that fails would."""
        self._running().kill()
        self._running().wait()

    def stop(self) -> int:
        """End it as systemd does, and return its exit code."""
        self._running().send_signal(signal.SIGTERM)
        return self._running().wait(PATIENCE_S)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def collecting(
    root: Path,
    *,
    now: str = NOW,
    speed: float = 60.0,
    exchange: dict[str, Any] | None = None,
    **told: Any,
) -> Iterator[tuple[Collecting, RunningExchange]]:
    """Start an exchange and a collector in the same accelerated time, and stop both in the end."""
    began = Clock.from_now(datetime.fromisoformat(now).timestamp(), speed)
    options = {"options_since": "2025-10-10T00:00:00Z", "limits": False, **(exchange or {})}
    with running(now=now, speed=speed, started=began.started, **options) as one:
        found = Collecting(root, one.url, began, told).start()
        try:
            yield found, one
        finally:
            if found.process is not None and found.process.poll() is None:
                found.kill()
