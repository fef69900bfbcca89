"""HTTP answers that are not what they should be."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n"
    "</body>\r\n</html>\r\n"
)


def bad_gateway() -> Response:
    """Return the page of the CDN when the exchange does not answer it."""
    return Response(_PAGE, 502, media_type="text/html")


class CutResponse(Response):
    """Announces its whole length, sends half and leaves, so that the connection is closed."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the head and half of the body."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        half = bytes(self.body[: len(self.body) // 2])
        await send(start)
        await send({"type": "http.response.body", "body": half, "more_body": True})
