"""The simulated exchange as a process of its own, for end-to-end tests: a fork of the nursery."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from tests.exchange.nursery import born

NOW = "2025-10-18T00:00:00Z"
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class RunningExchange:
    """An exchange that answers at `url` from process `pid`."""

    url: str
    pid: int

    def strike(self, do: str, **told: Any) -> dict[str, Any]:
        """Let something go wrong on sockets now, and return from when until when [Unix ms]."""
        answer = httpx.post(
            f"{self.url}/_exchange/socket", json={"do": do, **told}, trust_env=False
        )
        answer.raise_for_status()
        struck: dict[str, Any] = answer.json()
        return struck

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
    rate_faults: str = "",
    speed: float | None = None,
    started: float | None = None,
    tickers_replay: bool = False,
    **outage: float | str,
) -> Iterator[RunningExchange]:
    """Start an exchange on a free port, and stop it in the end.

    What else it is told are its options on outages and sockets, as ``outage="html_503",
    outage_after=20`` and ``socket_faults="cut:600", maintenance="2026-10-18T13:00Z/…"``.
    """
    options: dict[str, Any] = {"port": 0, "surface": surface, "option-activity": option_activity}
    options |= {"seed": seed, "latency-ms": latency_ms, "faults": faults, "lose": lose}
    options |= {"fault-seed": fault_seed, "deliveries": deliveries} | ({"now": now} if now else {})
    options |= {name.replace("_", "-"): value for name, value in outage.items()}
    options |= {"warm": warm} if warm else {}
    options |= {"options-since": options_since} if options_since else {}
    options |= {"rate-faults": rate_faults} if rate_faults else {}
    options |= {"speed": speed} if speed else {}
    options |= {"started": started} if started else {}
    words = [f"--{name}={value}" for name, value in options.items()]
    words += [] if limits else ["--no-limits"]
    words += ["--every"] if every else []
    words += ["--tickers-replay"] if tickers_replay else []
    lists_options = option_activity != 1 or bool(options_since or warm)
    pid, told = born(words, lists_options=lists_options)
    with os.fdopen(told) as lines:
        address = _address(lines.readline())
        process = os.pidfd_open(pid)
        try:
            yield RunningExchange(address, pid)
        finally:
            _stop(process)
            os.close(process)


def _address(line: str) -> str:
    if not line.startswith("listening on "):
        message = f"the exchange did not start: it said {line!r}"
        raise RuntimeError(message)
    return line.removeprefix("listening on ").strip()


def _stop(process: int) -> None:
    with suppress(ProcessLookupError):  # a test may have ended it
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], _STOP_S)[0]:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            message = f"the exchange did not stop within {_STOP_S} s"
            raise TimeoutError(message)
