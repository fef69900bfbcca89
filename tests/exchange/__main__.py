"""``python -m tests.exchange``: a simulated Deribit on a loopback port."""

import argparse
import asyncio
import time
from typing import TypeVar

from tests.exchange.faults import Faults, named
from tests.exchange.incidents import milliseconds
from tests.exchange.limits import Limits
from tests.exchange.listener import listen
from tests.exchange.market import Market
from tests.exchange.server import Exchange

Number = TypeVar("Number", int, float)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args()
    asyncio.run(listen(_exchange(options), options.port))


def _exchange(options: argparse.Namespace) -> Exchange:
    now_ms = options.now or time.time_ns() // 1_000_000
    market = Market(options.seed, now_ms)
    market.world.warm()
    return Exchange(
        market,
        is_frozen=options.now is not None,
        latency_s=options.latency_ms / 1000,
        limits=Limits(time.monotonic, enforced=not options.no_limits),
        faults=Faults(options.faults, options.fault_seed),
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        """Refuse in one line."""
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m tests.exchange", description=__doc__)
    parser.add_argument("--port", type=_port, required=True, help="0 picks a free one")
    parser.add_argument("--seed", type=int, default=7, help="which market (default 7)")
    parser.add_argument("--now", type=_moment, help="freeze the present, e.g. 2025-10-18T00:00:00Z")
    parser.add_argument("--latency-ms", type=_latency, default=0.0, help="delay of every answer")
    parser.add_argument("--no-limits", action="store_true", help="serve as fast as it can")
    parser.add_argument("--faults", type=_faults, default=named("none"), help="none, all or names")
    parser.add_argument("--fault-seed", type=int, default=0, help="which requests meet them")
    return parser


def _port(text: str) -> int:
    return _within(int(text), 0, 65_535)


def _latency(text: str) -> float:
    return _within(float(text), 0.0, 60_000.0)


def _within(value: Number, low: Number, high: Number) -> Number:
    if not low <= value <= high:
        message = f"{value} is not between {low} and {high}"
        raise argparse.ArgumentTypeError(message)
    return value


def _moment(text: str) -> int:
    try:
        return milliseconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _faults(text: str) -> frozenset[str]:
    try:
        return named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    main()
