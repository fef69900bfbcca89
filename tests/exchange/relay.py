"""A relay on loopback: hands on what the exchange answers, with one thing altered.

A test names its fault in one line: which calls, and what becomes of an answer::

    with relaying(exchange.url, lambda answer: answer.altered("usOut", 0)) as url: ...
"""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import msgspec
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_HANDED_ON = ("retry-after", "location", "content-type")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the exchange said to one call, the `number`-th of its method (from 0)."""

    method: str
    params: dict[str, str]
    number: int
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def envelope(self) -> dict[str, Any]:
        """The body as JSON."""
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded

    @property
    def result(self) -> Any:
        """The member `result`."""
        return self.envelope["result"]

    def altered(self, member: str, value: Any) -> "Answer":
        """Return the answer with another value of one member of its envelope."""
        return replace(self, body=msgspec.json.encode(self.envelope | {member: value}))

    def with_result(self, result: Any) -> "Answer":
        """Return the answer with another result."""
        return self.altered("result", result)

    def with_columns(self, **columns: Any) -> "Answer":
        """Return a page of candles with other columns."""
        return self.with_result(self.result | columns)


Alter = Callable[[Answer], Answer]


@contextmanager
def relaying(url: str, alter: Alter) -> Iterator[str]:
    """Yield the address of a relay in front of the exchange at `url`."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        config = uvicorn.Config(_Relay(url, alter), loop="asyncio", log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([opened],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join()


class _Relay:
    """The relay as an ASGI application."""

    def __init__(self, url: str, alter: Alter) -> None:
        self._url = url
        self._alter = alter
        self._counts: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request on, and what came of it back."""
        request = Request(scope, receive)
        method = request.url.path.partition("/api/v2/")[2]
        number = self._counts[method]
        self._counts[method] += 1
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            response = await http.request(
                request.method,
                f"{self._url}{request.url.path}",
                params=request.query_params.multi_items(),
                content=await request.body(),
            )
        headers = {name: response.headers[name] for name in _HANDED_ON if name in response.headers}
        params = dict(request.query_params)
        told = Answer(method, params, number, response.content, response.status_code, headers)
        sent = self._alter(told)
        await Response(sent.body, sent.status, sent.headers)(scope, receive, send)
