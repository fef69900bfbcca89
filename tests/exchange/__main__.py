"""``python -m tests.exchange``: a simulated Deribit on a loopback port."""

import argparse
import asyncio
import time

from tests.exchange.clock import Clock
from tests.exchange.deliveries import READINGS
from tests.exchange.faults import Faults, named
from tests.exchange.incidents import milliseconds
from tests.exchange.instruments import PERPETUALS
from tests.exchange.limits import Limits
from tests.exchange.listener import listen
from tests.exchange.market import Market
from tests.exchange.option_market.families import CURRENCIES
from tests.exchange.option_market.surface import FORMS as SURFACES
from tests.exchange.option_market.vices import NAMES as VICES
from tests.exchange.outage import FORMS, Outage
from tests.exchange.path import EPOCH_MS, HOUR_MS, HOURS
from tests.exchange.rate_faults import RateFaults, switched
from tests.exchange.server import UNREAD_BYTES, Exchange
from tests.exchange.socket import strikes
from tests.exchange.socket.strikes import Strikes

_READINGS = "fridays until 2020-02-03 and daily since, or daily since 2019-07-26"


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args()
    asyncio.run(listen(_exchange(options), options.port))


def _exchange(options: argparse.Namespace) -> Exchange:
    clock = _clock(options)
    now_ms = clock.read_us() // 1000
    market = Market(
        options.seed,
        now_ms,
        options.deliveries,
        surface=options.surface,
        option_activity=options.option_activity,
        lose=options.lose,
        options_since_ms=options.options_since,
        option_vices=options.faults & frozenset(VICES),
    )
    market.world.warm(options.warm, now_ms)
    return Exchange(
        market,
        clock,
        latency_s=options.latency_ms / 1000,
        limits=Limits(clock.seconds, enforced=not options.no_limits),
        faults=Faults(options.faults, options.fault_seed, every=options.every),
        outage=_outage(options, clock),
        strikes=Strikes(options.socket_faults, options.fault_seed, list(options.maintenance)),
        unread_bytes=options.unread_bytes,
        has_replayed_tickers=options.tickers_replay,
        rate_faults=RateFaults(options.rate_faults),
    )


def _clock(options: argparse.Namespace) -> Clock:
    """Return the clock: frozen where a moment is given and no speed."""
    if options.speed is None:
        return Clock.frozen(options.now) if options.now else Clock.real()
    started = time.time() if options.started is None else options.started
    now_us = round(started * 1e6) if options.now is None else options.now * 1000
    return Clock(now_us, started, options.speed)


def _outage(options: argparse.Namespace, clock: Clock) -> Outage | None:
    if options.outage is None:
        return None
    return Outage(
        options.outage,
        options.outage_after,
        options.outage_seconds,
        options.outage_requests,
        options.retry_after,
        clock.seconds,
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
    parser.add_argument("--speed", type=_speed, help="let the present run so many times as fast")
    parser.add_argument(
        "--started", type=float, help="the Unix second at which it was --now (default: the start)"
    )
    parser.add_argument("--latency-ms", type=_latency, default=0.0, help="delay of every answer")
    parser.add_argument("--no-limits", action="store_true", help="serve as fast as it can")
    parser.add_argument("--faults", type=_faults, default=named("none"), help="none, all or names")
    parser.add_argument("--deliveries", choices=READINGS, default="fridays", help=_READINGS)
    parser.add_argument(
        "--surface", choices=SURFACES, default="ssvi", help="the volatility surface"
    )
    parser.add_argument(
        "--option-activity", type=_activity, default=1.0, help="how often options trade (default 1)"
    )
    parser.add_argument(
        "--options-since", type=milliseconds, default=0, help="list none that expired before"
    )
    parser.add_argument(
        "--warm", type=_currencies, default=(), help="make options of these ready, e.g. BTC,ETH"
    )
    parser.add_argument("--lose", type=_lose, default=0, help="one option trade in N never comes")
    parser.add_argument(
        "--rate-faults", type=_switches, default=frozenset(), help="SOURCE:FAULT by commas"
    )
    parser.add_argument(
        "--socket-faults",
        type=_socket_faults,
        default={},
        help="NAME or NAME:SECONDS or NAME:SECONDS:LASTING, by commas",
    )
    parser.add_argument(
        "--maintenance", type=_windows, default=[], help="breaks, as START/END by commas"
    )
    parser.add_argument(
        "--unread-bytes", type=int, default=UNREAD_BYTES, help="drop who leaves more unread"
    )
    parser.add_argument(
        "--tickers-replay",
        action="store_true",
        help="render option tickers once a second and only change their timestamps",
    )
    parser.add_argument("--fault-seed", type=int, default=0, help="which requests meet them")
    parser.add_argument(
        "--every", action="store_true", help="every answer meets one, until its fifth asking"
    )
    parser.add_argument("--outage", choices=FORMS, help="be away, and answer with this")
    parser.add_argument("--outage-after", type=int, default=0, help="from this request on")
    forever = float("inf")
    parser.add_argument("--outage-seconds", type=float, default=forever, help="for so long")
    parser.add_argument("--outage-requests", type=float, default=forever, help="for so many")
    parser.add_argument("--retry-after", help="the header of that name, as it is")
    return parser


def _port(text: str) -> int:
    return round(_within(text, 0, 65_535))


def _speed(text: str) -> float:
    return _within(text, 0.01, 10_000)


def _latency(text: str) -> float:
    return _within(text, 0, 60_000)


def _lose(text: str) -> int:
    return round(_within(text, 0, 1_000_000_000))


def _currencies(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := set(chosen) - set(CURRENCIES):
        message = f"{min(unknown)!r} is not one of {', '.join(CURRENCIES)}"
        raise argparse.ArgumentTypeError(message)
    return chosen


def _activity(text: str) -> float:
    return _within(text, 0, 10)


def _within(text: str, low: int, high: int) -> float:
    try:
        value = float(text)
    except ValueError:
        message = f"{text!r} is not a number"
        raise argparse.ArgumentTypeError(message) from None
    if not low <= value <= high:
        message = f"{text} is not between {low} and {high}"
        raise argparse.ArgumentTypeError(message)
    return value


def _moment(text: str) -> int:
    try:
        moment = milliseconds(text)
    except ValueError:
        message = f"{text!r} is not a moment like 2025-10-18T00:00:00Z"
        raise argparse.ArgumentTypeError(message) from None
    if not PERPETUALS[0].creation_ms < moment < EPOCH_MS + HOURS * HOUR_MS:
        message = f"{text} is before the first instrument or after the market's last year"
        raise argparse.ArgumentTypeError(message)
    return moment


def _switches(text: str) -> frozenset[str]:
    try:
        return switched(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _socket_faults(text: str) -> dict[str, tuple[float, float]]:
    try:
        return strikes.named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _windows(text: str) -> list[strikes.Window]:
    try:
        return strikes.windows(text)
    except ValueError as error:
        message = f"{text!r} is not START/END,…: {error}"
        raise argparse.ArgumentTypeError(message) from error


def _faults(text: str) -> frozenset[str]:
    try:
        return named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    main()
