"""The simulated exchange as a process of its own, for end-to-end tests."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

NOW = "2025-10-18T00:00:00Z"
_ROOT = Path(__file__).parents[2]
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class RunningExchange:
    """An exchange that answers at `url` from process `pid`."""

    url: str
    pid: int

    def stats(self) -> dict[str, Any]:
        """Return what it has been asked and what it answered."""
        answer = httpx.get(f"{self.url}/_exchange/stats", trust_env=False)
        answer.raise_for_status()
        stats: dict[str, Any] = answer.json()
        return stats


@contextmanager
def running(  # noqa: PLR0913  (what an exchange can be told)
    seed: int = 7,
    *,
    now: str | None = NOW,
    latency_ms: float = 0,
    limits: bool = True,
    faults: str = "none",
    fault_seed: int = 0,
    deliveries: str = "fridays",
    every: bool = False,
    surface: str = "ssvi",
    option_activity: float = 1.0,
    lose: int = 0,
    warm: str = "",
    options_since: str = "",
    **outage: float | str,
) -> Iterator[RunningExchange]:
    """Start an exchange on a free port, and stop it in the end.

    What else it is told are its options on outages, as ``outage="html_503", outage_after=20``.
    """
    options: dict[str, Any] = {"port": 0, "surface": surface, "option-activity": option_activity}
    options |= {"seed": seed, "latency-ms": latency_ms, "faults": faults, "lose": lose}
    options |= {"fault-seed": fault_seed, "deliveries": deliveries} | ({"now": now} if now else {})
    options |= {name.replace("_", "-"): value for name, value in outage.items()}
    options |= {"warm": warm} if warm else {}
    options |= {"options-since": options_since} if options_since else {}
    command = [sys.executable, "-m", "tests.exchange"]
    command += [f"--{name}={value}" for name, value in options.items()]
    command += [] if limits else ["--no-limits"]
    command += ["--every"] if every else []
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield RunningExchange(_address(process), process.pid)
        finally:
            _stop(process)


def _address(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith("listening on "):
        message = f"the exchange did not start: it said {line!r}"
        raise RuntimeError(message)
    return line.removeprefix("listening on ").strip()


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
