"""A server with a systemd of its own, with deribit-lake installed as an operator does it."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.accelerated import Clock
from tests.deploy.machine import Machine, booted
from tests.deploy.service import DROP_IN, INSTALL, PYTHON, SECRETS, STATE, UNIT, shell
from tests.etl.collect.collecting import NOW, PERPETUALS
from tests.etl.collect.days import START_MS, whole_until_ms
from tests.exchange.running import RunningExchange, running

COMMAND = "/usr/local/bin/deribit-lake"
SITE = Path(__file__).parents[1] / "accelerated" / "sitecustomize.py"
SPEED = 30.0
HURRIED = """\
[Service]
Environment={clock}
RestartSec=0.5
"""


@dataclass(frozen=True)
class Server:
    """The machine, what its installation said, and the exchange whose time runs as fast as its."""

    machine: Machine
    installed: str
    exchange: RunningExchange

    def command(self, *words: object) -> str:
        """Return what deribit-lake says there, which must not fail."""
        return shell(self.machine, " ".join(map(str, (COMMAND, *words))))

    def minutes(self) -> int:
        """Return how many minutes of live candles there are, all the market's; -1 if not whole."""
        folder = Path(f"/proc/{self.machine.init}/root{STATE}/lake")
        ends = [whole_until_ms(folder, name) for name in PERPETUALS]
        whole = [end for end in ends if end is not None]
        return (min(whole) - START_MS) // 60_000 if len(whole) == len(ends) else -1


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """Boot a machine, install, and tell the unit where the exchange is; all ends with the block.

    Raises
    ------
    CannotBootError
        If no systemd can run here.
    """
    folder.mkdir()
    clock = Clock.from_now(datetime.fromisoformat(NOW).timestamp(), SPEED)
    told = {"options_since": "2025-10-10T00:00:00Z", "limits": False}
    with (
        booted(folder) as machine,
        running(now=NOW, speed=SPEED, started=clock.started, **told) as exchange,
    ):
        done = machine.run(INSTALL, "--python", PYTHON)
        if done.returncode:
            raise OSError(done.stderr)
        machine.write(f"/srv/{SITE.name}", SITE.read_text(encoding="utf-8"))
        machine.write(DROP_IN, HURRIED.format(clock=_variables(clock)))
        machine.write(SECRETS, _settings(exchange))
        shell(machine, "systemctl daemon-reload")
        try:
            yield Server(machine, done.stdout, exchange)
        finally:
            machine.run("systemctl", "stop", UNIT)


def _variables(clock: Clock) -> str:
    told = clock.environment | {"PYTHONPATH": "/srv"}
    return " ".join(f'"{name}={told[name]}"' for name in ("PYTHONPATH", "DERIBIT_LAKE_TEST_CLOCK"))


def _settings(exchange: RunningExchange) -> str:
    """Return the file of the environment: limits of time are the exchange's, in ours."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        page = f"127.0.0.1:{one.getsockname()[1]}"
    told = {
        "HOST": exchange.url,
        "CREDIT_REFILL": 10**7,
        "CREDIT_CAPACITY": 5 * 10**7,
        "COLLECT__LISTEN": page,
        "COLLECT__INSTRUMENTS": json.dumps(PERPETUALS),
        "COLLECT__KINDS": json.dumps(["candles", "index"]),
        "COLLECT__CLOCK_LIMIT": 600,
        "COLLECT__WRITE_LIMIT": 600,
        "COLLECT__LEAST_FREE_GB": 0.1,  # the machine's disk is memory
    }
    return "".join(f"DERIBIT_LAKE_{name}={value}\n" for name, value in told.items())
