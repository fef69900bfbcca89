"""A wire to an S3 server that counts what passes, and fails as wires do.

It reads the requests on it (HTTP/1.1, h11), so that a fault can be meant for one: its body is cut
off, its answer is swallowed or held back, or the server is said to be too busy for it.
"""

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import h11

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/xml\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s"
)
BUSY_BODY = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


@dataclass
class Request:
    """One request that passed: what it asked for, and the bytes of both bodies."""

    verb: str
    key: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    sent: int = 0
    received: int = 0
    status: int | None = None

    @property
    def kind(self):
        """What it counts as: LIST for one that lists, else its verb."""
        return "LIST" if self.verb == "GET" and "list-type" in self.query else self.verb


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of a verb whose key has `key` in it.

    Attributes
    ----------
    cut_at
        The connection is lost when so many bytes of the body have gone up; the answer is not
        waited for.
    swallowed
        The server does what it is asked; the connection is lost in place of its answer.
    late
        The request is on its way until this is set, or for so many seconds.
    held
        The answer is held back until this is set, or for so many seconds.
    busy
        The request does not get through: 503, as a store says that is asked for too much.
    """

    verb: str
    key: str = ""
    times: int = 1
    cut_at: int | None = None
    swallowed: bool = False
    late: threading.Event | float | None = None
    held: threading.Event | float | None = None
    busy: bool = False
    met: int = 0

    def is_for(self, request):
        return self.met < self.times and self.verb == request.kind and self.key in request.key


@dataclass
class Wire:
    """A wire that counts, and can be cut: connections end after so many bytes are sent."""

    port: int = 0
    limit: int | None = None
    cuts: int = 0
    dead: bool = False
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def sent(self):
        """The bytes of the bodies that went up."""
        return sum(one.sent for one in self.requests)

    @property
    def received(self):
        """The bytes of the bodies that came down."""
        return sum(one.received for one in self.requests)

    def counted(self, key=""):
        """Return how many requests of each kind passed whose key has `key` in it."""
        return Counter(one.kind for one in self.requests if key in one.key)

    def fails(self, verb, key="", **how):
        """Let a request to come fail; return the fault, which counts those it met."""
        fault = Fault(verb, key, **how)
        self.faults.append(fault)
        return fault

    def note(self, request):
        """Write a request down; return the fault that is meant for it."""
        with self.lock:
            self.requests.append(request)
            fault = next((one for one in self.faults if one.is_for(request)), None)
            if fault is not None:
                fault.met += 1
            return fault

    def cut(self):
        with self.lock:
            self.cuts += 1


@contextmanager
def wired(port, **told) -> Iterator[Wire]:
    """Yield a wire to a port on loopback.

    With `limit`, a connection that has sent so many bytes is cut; with `dead` set, every one.
    """
    wire = Wire(**told)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        wire.port = server.getsockname()[1]
        server.settimeout(0.1)
        taker = threading.Thread(target=_take, args=(server, port, wire, stop))
        taker.start()
        try:
            yield wire
        finally:
            stop.set()
            taker.join()


def _take(server, port, wire, stop):
    connections = []
    while not stop.is_set():
        try:
            near, _ = server.accept()
        except TimeoutError:
            continue
        if wire.dead:
            near.close()
            wire.cut()
            continue
        connections.append(Connection(near, port, wire, stop))
    for one in connections:
        one.end()


class Connection:
    """One connection through the wire, a thread for each way."""

    def __init__(self, near, port, wire, stop):
        self.near, self.far = near, socket.create_connection(("127.0.0.1", port))
        self.wire, self.stop = wire, stop
        self.waiting: deque[tuple[Request, Fault | None]] = deque()
        self.threads = [threading.Thread(target=one, daemon=True) for one in (self.up, self.down)]
        for one in self.threads:
            one.start()

    def end(self):
        self.close()
        for one in self.threads:
            one.join()
        self.near.close()
        self.far.close()

    def close(self):
        for one in (self.near, self.far):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.wire.cut()
        self.close()

    def up(self):
        """Carry requests to the server."""
        carried, late, reading = 0, None, Reading(self)
        with suppress(OSError):
            while data := self.near.recv(65_536):
                carried += len(data)
                if self.wire.dead or (self.wire.limit is not None and carried > self.wire.limit):
                    self.cut()
                    break
                fault, request = reading.feed(data)
                if fault is not None and fault.busy:
                    if reading.is_whole:
                        self.near.sendall(BUSY % (len(BUSY_BODY), BUSY_BODY))
                        break
                    continue
                if fault is not None and fault.cut_at is not None and request.sent >= fault.cut_at:
                    self.far.sendall(data[: len(data) - (request.sent - fault.cut_at)])
                    self.cut()
                    break
                if fault is not None and request is not late:
                    late = request
                    self._wait(fault.late)
                self.far.sendall(data)
        self.close()

    def down(self):
        """Carry answers back."""
        answer = None
        with suppress(OSError):
            while data := self.far.recv(65_536):
                request, fault = self.waiting[0]
                if answer is None:
                    answer = _answer_to(request)
                    if fault is not None:
                        self._wait(fault.held)
                if self.wire.dead or (fault is not None and fault.swallowed):
                    self.cut()
                    break
                if _is_read(answer, data, request):
                    self.waiting.popleft()
                    answer = None
                self.near.sendall(data)
        self.close()

    def _wait(self, until):
        if isinstance(until, threading.Event):
            while not (until.wait(0.1) or self.stop.is_set()):
                continue
        elif until is not None:
            time.sleep(until)


class Reading:
    """Reads the requests of a connection as their bytes go by."""

    def __init__(self, connection):
        self.connection = connection
        self.parser = h11.Connection(h11.SERVER)
        self.request: Request | None = None
        self.fault: Fault | None = None
        self.is_whole = False

    def feed(self, data):
        """Return the fault and the request that these bytes belong to."""
        self.parser.receive_data(data)
        while True:
            event = self.parser.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return self.fault, self.request
            if isinstance(event, h11.Request):
                self.request, self.is_whole = _request(event), False
                self.fault = self.connection.wire.note(self.request)
                self.connection.waiting.append((self.request, self.fault))
            elif isinstance(event, h11.Data):
                self.request.sent += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.is_whole = True
                rest, self.parser = self.parser.trailing_data[0], h11.Connection(h11.SERVER)
                if rest:  # of nothing, h11 would conclude that the connection has ended
                    self.parser.receive_data(rest)


def _request(event):
    target = urlsplit(event.target.decode())
    headers = {name.decode(): value.decode() for name, value in event.headers}
    query = parse_qs(target.query, keep_blank_values=True)
    return Request(event.method.decode(), unquote(target.path).lstrip("/"), query, headers)


def _answer_to(request):
    """Return what reads the answer to a request: to HEAD, one has no body."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method=request.verb, target="/", headers=[("host", "wire")]))
    parser.send(h11.EndOfMessage())
    return parser


def _is_read(parser, data, request):
    """Return whether an answer is whole with these bytes; `request` notes what it is."""
    parser.receive_data(data)
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED:
            return False
        if isinstance(event, h11.Response):
            request.status = event.status_code
        elif isinstance(event, h11.Data):
            request.received += len(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return True
