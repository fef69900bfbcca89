"""A server of Healthchecks.io's pinging protocol on loopback, which records what it is told."""

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CHECK = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
PATH = re.compile(r"/ping/(?P<check>[^/]+)(?:/(?P<what>start|fail|log|\d{1,3}))?")
A_MINUTE, MINUTE_S = 5, 60.0
KEPT_BYTES = 100_000


@dataclass(frozen=True)
class Ping:
    """What one ping said: `what` is "" for success, start, fail, log or an exit status."""

    at_s: float
    what: str
    body: str
    rid: str | None


@dataclass
class Healthchecks:
    """The pings a check got; what to do to the next ones can be set.

    Attributes
    ----------
    now
        The clock pings are stamped by.
    fault
        "" or: ``silent`` (never answers), ``cut`` (hangs up), a status such as ``503``.
    limits
        Whether more than five a minute of `now` are ignored.
    """

    now: Callable[[], float] = time.time
    fault: str = ""
    limits: bool = True
    url: str = ""
    pings: list[Ping] = field(default_factory=list)
    ignored: int = 0
    requests: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def whats(self) -> list[str]:
        """Return what each ping said."""
        return [ping.what for ping in self.pings]

    def take(self, target: str, body: bytes) -> tuple[int, str]:
        """Record a ping, and return status and body of its answer."""
        parts = urlsplit(target)
        found = PATH.fullmatch(parts.path)
        rid = parse_qs(parts.query).get("rid", [None])[0]
        if found is None:
            return 404, "not found"
        if not _is_uuid(found["check"]) or (rid is not None and not _is_uuid(rid)):
            return 400, "invalid url format"
        if found["check"] != CHECK:
            return 200, "OK (not found)"
        at_s = self.now()
        if self.limits and sum(at_s - one.at_s < MINUTE_S for one in self.pings) >= A_MINUTE:
            self.ignored += 1
            return 200, "OK (rate limited)"
        text = body[:KEPT_BYTES].decode()
        self.pings.append(Ping(at_s, found["what"] or "", text, rid))
        return 200, "OK"


@contextmanager
def listening(**told) -> Iterator[Healthchecks]:
    """Start a server for one check, and stop it in the end."""
    checks = Healthchecks(**told)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            checks.requests += 1
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if checks.fault in {"silent", "cut"}:
                if checks.fault == "silent":
                    checks.released.wait()
                self.close_connection = True
                return
            is_told = checks.fault.isdigit()
            status, text = (int(checks.fault), "") if is_told else checks.take(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: object) -> None:
            """Say nothing: the pings are recorded."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        checks.url = f"http://127.0.0.1:{server.server_port}/ping/{CHECK}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield checks
        finally:
            checks.released.set()
            server.shutdown()
            thread.join()


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
