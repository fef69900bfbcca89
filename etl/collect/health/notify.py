"""Notices to systemd by its own protocol: that we are ready, how we are, that data are fresh.

The watchdog is fed only while a restart could not mend anything: it goes silent where everything, a
socket or the journal has stood still for twice its limit, and stays silent as long as that lasts.
Maintenance, one frozen channel, a database that is away, a full disk are no reason to be restarted.

References
----------
systemd, sd_notify(3) and sd_watchdog_enabled(3).
"""

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from etl.collect.board import Board
from etl.collect.health.ages import ages_line
from etl.logs import event

log = logging.getLogger(__name__)

STATUS_EVERY_S = 10.0
MORE_TIME_S = 60
"""What is asked for, again and again, until collection begins: the exchange may be down."""
NAMED, ABSTRACT = "/", "@"


@dataclass(slots=True)
class Notifier:
    """Sends notices to the socket an init system named; without one, none.

    Attributes
    ----------
    watchdog_s
        A third of the time after which a silent watchdog ends us; None: there is none.
    """

    address: str | None = None
    watchdog_s: float | None = None
    is_ready: bool = False
    _fed_s: float | None = None
    _told_s: float | None = None
    _trouble: str = ""
    _starved_by: str = ""
    _socket: socket.socket | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Notifier":
        """Return one for NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith((NAMED, ABSTRACT)):
            return cls()
        usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        is_ours = usec.isdigit() and int(usec) > 0 and pid in {"", str(os.getpid())}
        return cls(address, int(usec) / 3e6 if is_ours else None)

    def ready(self) -> None:
        """Say that collection has begun."""
        self.is_ready = True
        self.send(f"READY=1\nMAINPID={os.getpid()}")

    def stopping(self) -> None:
        """Say that it ends."""
        self.send("STOPPING=1\nSTATUS=stopping")

    def tell(self, board: Board, now_ms: int, clock_s: float) -> None:
        """Feed the watchdog and say how we are, where either is due by a steady clock."""
        if self.address is None:
            return
        if self._is_hungry(clock_s) and self._is_well(board, now_ms):
            self._fed_s = clock_s
            self.send("WATCHDOG=1")
        if self._told_s is None or clock_s - self._told_s >= STATUS_EVERY_S:
            self._told_s = clock_s
            more = "" if self.is_ready else f"EXTEND_TIMEOUT_USEC={MORE_TIME_S}000000\n"
            self.send(f"{more}STATUS={status_line(board, now_ms)}")

    def _is_hungry(self, clock_s: float) -> bool:
        if self.watchdog_s is None:
            return False
        return self._fed_s is None or clock_s - self._fed_s >= self.watchdog_s

    def _is_well(self, board: Board, now_ms: int) -> bool:
        """Whether nothing has stalled; the log says when that changes, and by what."""
        names = ", ".join(stalled(board, now_ms))
        if names and not self._starved_by:
            told = event("watchdog_starved", alarms=names)
            log.error(
                "the watchdog is fed no more, for a restart may mend this: %s", names, extra=told
            )
        elif self._starved_by and not names:
            log.info("the watchdog is fed again", extra=event("watchdog_fed"))
        self._starved_by = names
        return not names

    def send(self, notice: str) -> None:
        """Send one, without waiting; trouble is logged once, and stops nothing."""
        if self.address is None:
            return
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.settimeout(0)
            self._socket.sendto(notice.encode(), self.address.replace(ABSTRACT, "\0", 1))
        except OSError as error:
            trouble = error.strerror or str(error)
            if trouble != self._trouble:
                log.warning(
                    "systemd at %s does not listen: %s",
                    self.address,
                    trouble,
                    extra=event("notify_failed", address=self.address, reason=trouble),
                )
            self._trouble = trouble

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def stalled(board: Board, now_ms: int) -> list[str]:
    """Return the alarms of what a restart may mend that has been wrong for twice its limit."""
    return [
        alarm.name
        for alarm in board.alarms.values()
        if alarm.does_restart_help
        and alarm.wrong_since_ms is not None
        and now_ms - alarm.wrong_since_ms > 2 * alarm.limit_ms
    ]


def status_line(board: Board, now_ms: int) -> str:
    """Return one line on how we are."""
    if board.alarms:
        return f"alarms: {', '.join(board.alarms)}; {ages_line(board, now_ms)}"
    return ages_line(board, now_ms)
