"""The exchange as an ASGI application: limits, faults, methods, envelopes."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.exchange import lies, trade_faults
from tests.exchange.clock import Clock
from tests.exchange.delistings import Delistings
from tests.exchange.errors import ApiError
from tests.exchange.exponents import in_exponent_form
from tests.exchange.faults import DELIVERIES, PAGE_METHODS, Fault, Faults, contradict
from tests.exchange.limits import Connections, Limits
from tests.exchange.market import Market
from tests.exchange.methods import METHODS, ON_HISTORY, chart_of
from tests.exchange.outage import DRIP, Outage
from tests.exchange.params import Params
from tests.exchange.path import HOUR_MS
from tests.exchange.rate_faults import RateFaults
from tests.exchange.rate_pages import RatePages
from tests.exchange.responses import TOO_MANY, CutResponse, DripResponse, away
from tests.exchange.revisions import provisional
from tests.exchange.rpc import Call, envelope, read_call
from tests.exchange.socket.hub import Hub
from tests.exchange.socket.strikes import ASKED, Strike, Strikes
from tests.exchange.tape import RESOLUTIONS
from tests.exchange.trade_methods import is_option
from tests.exchange.trades import MINUTE_MS
from tests.exchange.volatility_index import STEPS_MS

CHART = "public/get_tradingview_chart_data"
TIME = "public/get_time"
LISTING = "public/get_instruments"
TOO_MANY_REQUESTS = 10028
UNREAD_BYTES = 128_000_000
"""How much a client may leave unread before its connection is closed."""
_FAULT_CODES = {"rate_limit": 10028, "maintenance": 11051, "settlement": 10041, "internal": 11094}
_FAILURES = ("html_502", "http_429", *_FAULT_CODES)
_BROKEN: dict[str, type[Response]] = {"cut_body": CutResponse, "drip": DripResponse}


@dataclass
class Exchange:
    """A running exchange: its market, its present, its limits, its faults, and what it did."""

    market: Market
    clock: Clock
    latency_s: float
    limits: Limits
    faults: Faults
    outage: Outage | None = None
    has_replayed_tickers: bool = False
    unread_bytes: int = UNREAD_BYTES
    strikes: Strikes = field(default_factory=Strikes)
    rate_faults: RateFaults = field(default_factory=RateFaults)
    connections: Connections = field(default_factory=Connections)
    by_method: Counter[str] = field(default_factory=Counter)
    by_outcome: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Draw what befalls the lists from the faults, and open the pages of rates."""
        self.delistings = Delistings(self.faults.names)
        self.rates = RatePages(self.now_us, self.rate_faults)
        self.hub = Hub(self)

    def now_us(self) -> int:
        """Return the exchange's clock [Unix us]."""
        return self.clock.read_us()

    def stats(self) -> dict[str, Any]:
        """Return what the exchange has done so far."""
        return {
            "requests": self.by_method.total(),
            "by_method": dict(self.by_method),
            "by_outcome": dict(self.by_outcome),
            "credits_spent": self.limits.credits_spent,
            "max_connections": self.connections.most,
            "faults": dict(self.faults.met),
            "rates": dict(self.rates.asked),
            "socket": self.hub.stats(),
            "outage": {"met": self.outage.met, "moments": self.outage.moments}
            if self.outage
            else None,
        }

    async def serve(self, request: Request) -> Response:
        """Answer one JSON-RPC request."""
        us_in = self.told_us()
        call = Call("", {})
        try:
            call = await read_call(request)
            self.by_method[call.method] += 1
            if self.is_away():
                self.by_outcome["maintenance"] += 1
                return away(("html_502", "html_503")[self.by_method.total() % 2])
            is_away = self.outage is not None and self.outage.meets()
            if self.outage and is_away and self.outage.form != DRIP:
                self.by_outcome["outage"] += 1
                return away(self.outage.form, self.outage.retry_after)
            self._admit(request, call.method)
            await asyncio.sleep(self.latency_s)
            answer = await self._answer(call, us_in)
            return DripResponse(answer.body, media_type="application/json") if is_away else answer
        except ApiError as error:
            return self._refuse(call, error, us_in, error.http_status)

    def market_now(self) -> Market:
        """Return the market as it stands now."""
        return self.market.at(self.now_us() // 1000)

    def is_away(self) -> bool:
        """Whether a break is on, so that no socket is opened and no request served."""
        return self.strikes.is_away(self.now_us() // 1000)

    def told_us(self) -> int:
        """Return what the exchange says the time is, which may be wrong [Unix us]."""
        now_us = self.now_us()
        return now_us + 1000 * self.strikes.jump_ms(now_us // 1000)

    def charge(self, method: str, peer: tuple[str, int]) -> None:
        """Count a call and charge it to an address; raise 10028 where its credits are gone."""
        self.by_method[method] += 1
        if not self.limits.admits(peer[0], method):
            raise ApiError(TOO_MANY_REQUESTS)

    async def reply(self, call: Call, peer: tuple[str, int]) -> bytes:
        """Return the answer to a call that came over a socket, and raise what is an error."""
        us_in = self.told_us()
        self.charge(call.method, peer)
        await asyncio.sleep(self.latency_s)
        _check(call)
        fault = self.faults.meet(call.method, call.params)
        if fault and fault.name in _FAILURES:
            raise ApiError(_FAULT_CODES.get(fault.name, 11094))
        result = await self._result(call, fault)
        self.by_outcome["ok"] += 1
        return self._body(call, {"result": _sent(result)}, us_in, self.told_us())

    def _admit(self, request: Request, method: str) -> None:
        """Raise 10028 where a limit is reached."""
        address, port = request.client or ("unknown", 0)
        if self.limits.enforced and self.connections.is_excess((address, port)):
            raise ApiError(TOO_MANY_REQUESTS, "too many connections", http_status=429)
        if not self.limits.admits(address, method):
            raise ApiError(TOO_MANY_REQUESTS)

    async def _answer(self, call: Call, us_in: int) -> Response:
        _check(call)
        fault = self.faults.meet(call.method, call.params)
        if fault and fault.name in _FAILURES:
            return self._fail(call, fault, us_in)
        if fault and fault.name == "latency":
            await asyncio.sleep(fault.draw(500) / 1000)
        result = await self._result(call, fault)
        us_out = self.told_us()
        if fault and fault.name == "clock":
            us_out += lies.YEAR_US * (1 if fault.draw(2) else -1)
        body = self._body(call, {"result": _sent(result)}, us_in, us_out)
        name = fault.name if fault and fault.name in _BROKEN else "ok"
        self.by_outcome[name] += 1
        return _BROKEN.get(name, Response)(body, media_type="application/json")

    async def _result(self, call: Call, fault: Fault | None) -> Any:
        market = self.market_now()
        params = call.params
        if fault and fault.name in {"shifted", "misfiled"}:
            METHODS[call.method](market, self._params(call, params))  # a wrong call stays an error
            params = fault.shift(params, _bar_ms(params))
        if fault and fault.name in trade_faults.ASKING:
            METHODS[call.method](market, self._params(call, params))
            params = trade_faults.asked_instead(fault, params)
        if call.method == CHART:
            result = await self._chart(market, self._params(call, params))
        else:
            result = METHODS[call.method](market, self._params(call, params))
        if call.method == TIME:
            result += self.strikes.jump_ms(result)
        if call.method == LISTING:
            result = self.delistings.listed(result, market.now_ms)
        if call.method == DELIVERIES and "contradictory" in self.faults.names:
            result = contradict(result)
        if fault and call.method in PAGE_METHODS:
            return fault.told(fault.damage(result), _bar_ms(params))
        return result

    @staticmethod
    def _params(call: Call, params: dict[str, Any]) -> Params:
        return Params(params, is_history=call.is_history)

    async def _chart(self, market: Market, params: Params) -> Any:
        name = params.text("instrument_name")
        if is_option(market, params, name):
            self.delistings.check(name)
            return METHODS[CHART](market, params)
        query = chart_of(market, params)
        self.delistings.check(query.instrument.name)
        for _ in query.prepare(market):
            await asyncio.sleep(0)
        result = query.answer(market)
        if "revised" not in self.faults.names:
            return result
        return provisional(self.faults, query, result, now_ms=market.now_ms)

    def _body(self, call: Call, answer: dict[str, Any], us_in: int, us_out: int) -> bytes:
        body = envelope(call, answer, us_in=us_in, us_out=us_out)
        return in_exponent_form(body) if "exponent" in self.faults.names else body

    def _fail(self, call: Call, fault: Fault, us_in: int) -> Response:
        if fault.name == "html_502":
            self.by_outcome["html_502"] += 1
            return away("html_502")
        if fault.name == "http_429":
            self.by_outcome["http_429"] += 1
            return away(TOO_MANY[fault.draw(3)], "1" if fault.draw(2, part=1) else None)
        status = 429 if fault.name == "rate_limit" and fault.draw(2) else 400
        return self._refuse(call, ApiError(_FAULT_CODES[fault.name]), us_in, status)

    def _refuse(self, call: Call, error: ApiError, us_in: int, status: int = 400) -> Response:
        self.by_outcome[f"error {error.code}"] += 1
        body = self._body(call, {"error": error.body()}, us_in, self.told_us())
        # Who is out of credits has its session ended.
        headers = {"connection": "close"} if error.code == TOO_MANY_REQUESTS else None
        return Response(body, status, headers, media_type="application/json")


def application(exchange: Exchange) -> Starlette:
    """Return the routes of an exchange."""

    async def stats(_request: Request) -> JSONResponse:
        return JSONResponse(exchange.stats())

    async def strike(request: Request) -> JSONResponse:
        told = orjson.loads(await request.body())
        now_ms = exchange.now_us() // 1000
        if told.get("do") not in ASKED:
            message = f"{told.get('do')!r} is not one of {', '.join(ASKED)}"
            return JSONResponse({"error": message}, 400)
        until_ms = now_ms + round(1000 * told.get("seconds", 60))
        asked = Strike(told["do"], now_ms, until_ms, told.get("draw", 0), told.get("channel"))
        exchange.hub.strike(asked, asked=True)
        return JSONResponse({"at_ms": now_ms, "until_ms": until_ms})

    return Starlette(
        routes=[
            Route("/api/v2", exchange.serve, methods=["POST"]),
            Route("/api/v2/{method:path}", exchange.serve, methods=["GET", "POST"]),
            Route("/history/api/v2/{method:path}", exchange.serve, methods=["GET", "POST"]),
            *exchange.rates.routes(),
            Route("/_exchange/stats", stats),
            Route("/_exchange/socket", strike, methods=["POST"]),
        ]
    )


def _check(call: Call) -> None:
    if call.method not in (ON_HISTORY if call.is_history else METHODS):
        raise ApiError(13009 if call.method.startswith("private/") else -32601)


def _sent(result: Any) -> Any:
    """Return a result in which the trades of a page, which are ready JSON, are one text."""
    if not isinstance(result, dict) or "trades" not in result:
        return result
    return result | {"trades": orjson.Fragment(b"[%s]" % b",".join(result["trades"]))}


def _bar_ms(params: dict[str, Any]) -> int:
    """Return the grain of a page: a bar's length, or funding's hour."""
    if "currency" in params:
        return STEPS_MS.get(str(params.get("resolution")), HOUR_MS)
    span = RESOLUTIONS.get(str(params.get("resolution")))
    return span * MINUTE_MS if span else HOUR_MS
