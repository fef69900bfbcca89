"""HTTP answers that are not what they should be."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

DRIP_S = 5.0


def page(title: str) -> bytes:
    """Return a page as the CDN sends it in the exchange's place."""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>cloudflare</center>\r\n"
        "</body>\r\n</html>\r\n"
    ).encode()


_JSON = b'{"jsonrpc":"2.0","error":{"code":%d,"message":"%s"},"testnet":false}'
AWAY = {
    "html_502": (502, page("502 Bad Gateway")),
    "html_503": (503, page("503 Service Temporarily Unavailable")),
    "html_405": (405, page("405 Not Allowed")),
    "error_11051": (503, _JSON % (11051, b"system_maintenance")),
    "http_429_html": (429, page("429 Too Many Requests")),
    "http_429_empty": (429, b""),
    "http_429_json": (429, _JSON % (10028, b"too_many_requests")),
}
TOO_MANY = tuple(form for form, (status, _) in AWAY.items() if status == 429)


def away(form: str, retry_after: str | None = None) -> Response:
    """Return what is answered where the exchange is away or wants fewer requests."""
    status, body = AWAY.get(form, (503, b""))
    headers = {} if retry_after is None else {"retry-after": retry_after}
    kind = "application/json" if body.startswith(b"{") else "text/html"
    return Response(body, status, headers, media_type=kind)


class DripResponse(Response):
    """Announces its whole length and sends a byte every five seconds, while someone listens."""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head at once and the body for ever."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        left = asyncio.ensure_future(_has_left(receive))
        for byte in bytes(self.body):
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            if (await asyncio.wait([left], timeout=DRIP_S))[0]:
                return
        left.cancel()


async def _has_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class CutResponse(Response):
    """Announces its whole length, sends half and leaves, so that the connection is closed."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the head and half of the body."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        half = bytes(self.body[: len(self.body) // 2])
        await send(start)
        await send({"type": "http.response.body", "body": half, "more_body": True})
