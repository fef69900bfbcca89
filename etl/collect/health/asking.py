"""What a running collector says of itself, asked from another process."""

import http.client
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import msgspec

from etl.collect.health.ages import format_age, format_second
from etl.config import Collect
from etl.errors import UsageError

TIMEOUT_S = 10.0
HEAD = ("kind", "oldest", "is", "median", "limit", "sources", "stale", "messages/s")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking: the overview a collector gave, or why there is none."""

    address: str
    overview: dict[str, Any] | None
    reason: str = ""

    @property
    def is_fresh(self) -> bool:
        """Whether all is well."""
        return self.overview is not None and self.overview["verdict"] == "fresh"


def ask(collect: Collect) -> Answer:
    """Ask the collector whose page is where settings say.

    Raises
    ------
    UsageError
        If settings say nowhere.
    """
    host, _, port = collect.listen.rpartition(":")
    if not (host and port.isascii() and port.isdigit()):
        message = f"collect.listen = {collect.listen!r}: a collector is asked at host:port"
        raise UsageError(message)
    host = _reachable(host.removeprefix("[").removesuffix("]"))
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/status.json")
        found = msgspec.json.decode(connection.getresponse().read())
        if not {"verdict", "kinds", "alarms", "rates"} <= set(found):
            return Answer(address, None, "something else answers there")
    except (msgspec.DecodeError, http.client.HTTPException, TypeError):
        return Answer(address, None, "something else answers there")
    except OSError as error:
        return Answer(address, None, error.strerror or str(error))
    finally:
        connection.close()
    return Answer(address, found)


def told(answer: Answer) -> str:
    """Return an answer for people: a table of kinds, what rings, and last the verdict."""
    if answer.overview is None:
        return f"no collector answers at {answer.address}: {answer.reason}"
    found = answer.overview
    rows = [HEAD, *(_cells(kind, found["rates"]) for kind in found["kinds"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines += [_alarm(alarm) for alarm in found["alarms"]]
    return "\n".join([*lines, f"verdict: {found['verdict'].upper()}"])


def _cells(kind: dict[str, Any], rates: dict[str, float]) -> tuple[str, ...]:
    rate = rates.get(kind["kind"])
    return (
        kind["kind"],
        format_age(kind["worst_ms"]),
        kind["worst"],
        format_age(kind["median_ms"]),
        format_age(kind["limit_ms"]) if kind["limit_ms"] else "none",
        str(kind["sources"]),
        str(kind["stale"]),
        "" if rate is None else f"{rate:,.1f}",
    )


def _alarm(alarm: dict[str, Any]) -> str:
    return f"alarm {alarm['name']}, rung {format_second(alarm['rung_ms'])}: {alarm['text']}"


def _reachable(host: str) -> str:
    """Return where a host that stands for all of them can be reached from here."""
    try:
        is_any, version = ip_address(host).is_unspecified, ip_address(host).version
    except ValueError:
        return host
    return {4: "127.0.0.1", 6: "::1"}[version] if is_any else host
