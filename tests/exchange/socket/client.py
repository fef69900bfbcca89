"""A client of the socket for tests: calls, and what comes between their answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

PATIENCE_S = 30.0


class Client:
    """One WebSocket; `told` are the notifications so far, in order."""

    def __init__(self, socket: ClientConnection, *, answers_tests: bool) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []
        self._answers_tests = answers_tests
        self._id = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the envelope of an answer."""
        self._id += 1
        await self.send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        while True:
            message = await self.receive()
            if message.get("id") == self._id:
                return message

    async def result(self, method: str, **params: Any) -> Any:
        """Return a result."""
        return (await self.call(method, **params))["result"]

    async def error(self, method: str, **params: Any) -> int:
        """Return the code of an error."""
        code: int = (await self.call(method, **params))["error"]["code"]
        return code

    async def subscribe(self, *channels: str) -> list[str]:
        """Return the channels that were subscribed to."""
        found: list[str] = await self.result("public/subscribe", channels=list(channels))
        return found

    async def send(self, message: Any) -> None:
        """Send a message: text as it is, anything else as JSON."""
        await self.socket.send(
            message if isinstance(message, str) else orjson.dumps(message).decode()
        )

    async def receive(self) -> dict[str, Any]:
        """Return the next message; notifications are kept, and requests for a test answered."""
        text = await asyncio.wait_for(self.socket.recv(decode=False), PATIENCE_S)
        message: dict[str, Any] = orjson.loads(text)
        if "method" in message:
            self.told.append(message)
        if message.get("params") == {"type": "test_request"} and self._answers_tests:
            await self.send({"jsonrpc": "2.0", "method": "public/test", "params": {}})
        return message

    async def until(self, is_enough: Callable[["Client"], bool]) -> None:
        """Receive until there is enough."""
        while not is_enough(self):
            await self.receive()

    def data(self, channel: str) -> list[Any]:
        """Return the data that came on a channel."""
        return [
            message["params"]["data"]
            for message in self.told
            if message["params"].get("channel") == channel
        ]


@asynccontextmanager
async def connected(
    url: str, *, answers_tests: bool = True, compression: str | None = None, **options: Any
) -> AsyncIterator[Client]:
    """Connect to the exchange at an HTTP address."""
    address = f"{url.replace('http', 'ws', 1)}/ws/api/v2"
    options = {"max_size": None, "ping_interval": None, "proxy": None} | options
    async with connect(address, compression=compression, **options) as socket:
        yield Client(socket, answers_tests=answers_tests)
