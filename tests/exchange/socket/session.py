"""What the client of one WebSocket may ask: JSON-RPC, heartbeats, subscriptions."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from tests.exchange.errors import ApiError
from tests.exchange.noise import mix_of
from tests.exchange.params import Params
from tests.exchange.rpc import MOST_BYTES, Call, envelope
from tests.exchange.server import TOO_MANY_REQUESTS, Exchange

if TYPE_CHECKING:
    from tests.exchange.socket.line import Line

MOST_CHANNELS = 500
IDLE_S = 60.5
LEAST_INTERVAL_S = 10
FIRST_TEST, NEXT_TEST = 1.2, 1.06
"""When a test is requested first and then again, in intervals: 12.0 s and every 10.6 s of 10."""
UNANSWERED_S = 10.0
LEAST_PATIENCE_S = 2.0
"""What a client has at least to answer [real s]: no clock makes its machine faster."""
HEARTBEAT_CLOSE = 4_000
_HEARTBEAT = b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}'
_TEST_REQUEST = b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}'

Own = Callable[["Session", Params], Any]


class Session:
    """One client: its channels and its timers, which run in exchange time."""

    def __init__(self, exchange: Exchange, line: "Line") -> None:
        self.exchange, self.line = exchange, line
        self.hub = exchange.hub
        self.channels: dict[str, None] = {}
        self.interval_s: float | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed_because: str | None = None
        self.number = self.hub.opened(self)
        self.silent_until_ms = 0
        self.watch_idleness()

    def take(self, text: bytes) -> None:
        """Handle a message of the client."""
        if self.closed_because is not None:
            return
        self.watch_idleness()
        task = asyncio.ensure_future(self._handle(text))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ended(self, reason: str) -> None:
        """Forget everything: the connection is gone."""
        for timer in self._timers.values():
            timer.cancel()
        self.hub.closed(self, self.closed_because or reason)

    def close(self, code: int, reason: str, *, least_s: float = LEAST_PATIENCE_S) -> None:
        """Close the connection with a code, and cut it if the client does not close in time.

        Time is ten exchange seconds, but at least so many real ones.
        """
        self.closed_because = self.closed_because or reason
        self.line.close(code, reason)
        self._after("closing", UNANSWERED_S, self.line.abort, least_s)

    def abort(self, reason: str) -> None:
        """Cut the connection: the client sees 1006."""
        self.closed_because = self.closed_because or reason
        self.line.abort()

    async def _handle(self, text: bytes) -> None:
        us_in = self.exchange.told_us()
        call = Call("", {})
        try:
            call = _read(text)
            own = _OWN.get(call.method)
            if own is None:
                self.line.send([await self.exchange.reply(call, self.line.peer)])
                return
            self.exchange.charge(call.method, self.line.peer)
            answer = {"result": own(self, Params(call.params))}
        except ApiError as error:
            answer = {"error": error.body()}
            self._refused(error)
        us_out = self.exchange.told_us()
        self.line.send([envelope(call, answer, us_in=us_in, us_out=us_out)])
        if "error" in answer and answer["error"]["code"] == TOO_MANY_REQUESTS:
            self.close(1_008, "too_many_requests")
        elif call.method == "public/subscribe" and "result" in answer:
            self.hub.welcome(self, answer["result"])

    def _refused(self, error: ApiError) -> None:
        self.exchange.by_outcome[f"error {error.code}"] += 1

    def hello(self, _params: Params) -> Any:
        """Return the version."""
        return {"version": "1.2.26"}

    def test(self, params: Params) -> Any:
        """Return the version; it answers a request for a test."""
        self._cancel("unanswered")
        if params.one_of("expected_result", ("exception",), None) == "exception":
            raise ApiError(11094, "expected exception")
        return {"version": "1.2.26"}

    def set_heartbeat(self, params: Params) -> Any:
        """Begin to request tests."""
        interval = params.integer("interval")
        if interval < LEAST_INTERVAL_S:
            raise ApiError(-32602, f"must be at least {LEAST_INTERVAL_S}", "interval")
        self.disable_heartbeat(params)
        self.interval_s = float(interval)
        self._beat_after(FIRST_TEST * interval)
        self.watch_idleness()
        return "ok"

    def disable_heartbeat(self, _params: Params) -> Any:
        """Request no more tests."""
        for name in ("beat", "test", "unanswered"):
            self._cancel(name)
        self.interval_s = None
        self.watch_idleness()
        return "ok"

    def subscribe(self, params: Params) -> Any:
        """Return the channels that the client is subscribed to now, of those it named."""
        names = _channels(params)
        market = self.exchange.market_now()
        found = [name for name in names if self.hub.channels.feed(market, name) is not None]
        return sorted(dict.fromkeys(found), key=lambda name: mix_of(name.encode()))

    def unsubscribe(self, params: Params) -> Any:
        """Return the channels that the client was subscribed to, of those it named."""
        gone = [name for name in _channels(params) if name in self.channels]
        for name in gone:
            self.hub.unsubscribed(self, name)
        self.watch_idleness()
        return gone

    def unsubscribe_all(self, _params: Params) -> Any:
        """Subscribe to nothing."""
        for name in list(self.channels):
            self.hub.unsubscribed(self, name)
        self.watch_idleness()
        return "ok"

    def _beat_after(self, seconds: float) -> None:
        self._after("beat", seconds - 2.0, lambda: self.line.send([_HEARTBEAT]))
        self._after("test", seconds, self._request_test)

    def _request_test(self) -> None:
        self.line.send([_TEST_REQUEST])
        if "unanswered" not in self._timers:
            self._after("unanswered", UNANSWERED_S, self._give_up, LEAST_PATIENCE_S)
        self._beat_after(NEXT_TEST * (self.interval_s or LEAST_INTERVAL_S))

    def _give_up(self) -> None:
        self.close(HEARTBEAT_CLOSE, "heartbeat close")

    def watch_idleness(self) -> None:
        """Count anew how long nothing was asked, where nothing else keeps the connection open."""
        self._cancel("idle")
        if self.interval_s is None and not self.channels:
            self._after("idle", IDLE_S, lambda: self.abort("idle"))

    def _after(
        self, name: str, seconds: float, action: Callable[[], None], least_s: float = 0.0
    ) -> None:
        def act() -> None:
            self._timers.pop(name, None)
            action()

        self._cancel(name)
        delay = max(self.exchange.clock.delay(seconds), least_s)
        self._timers[name] = asyncio.get_running_loop().call_later(delay, act)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


_OWN: dict[str, Own] = {
    f"public/{method.__name__}": method
    for method in (
        Session.hello,
        Session.test,
        Session.set_heartbeat,
        Session.disable_heartbeat,
        Session.subscribe,
        Session.unsubscribe,
        Session.unsubscribe_all,
    )
}


def _read(text: bytes) -> Call:
    """Return the call of a message; one without an id is a call too."""
    if len(text) > MOST_BYTES:
        raise ApiError(-32600)
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ApiError(11050) from None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        raise ApiError(11050)
    params = message.get("params") or {}
    if not isinstance(params, dict):
        raise ApiError(-32602, "parameters go by name", "params")
    return Call(message["method"], params, message.get("id"))


def _channels(params: Params) -> list[str]:
    names = params.texts("channels")
    if len(names) > MOST_CHANNELS:
        raise ApiError(-32600)
    return names
