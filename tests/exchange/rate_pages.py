"""Both sources of rates on the exchange's own server, each with its faults."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.exchange import fred, treasury
from tests.exchange.rate_faults import RateFaults
from tests.exchange.responses import CutResponse, away, page

ATOM, CSV = "application/atom+xml;type=feed;charset=utf-8", "application/csv"
ELSEWHERE = "https://elsewhere.invalid/"


@dataclass
class RatePages:
    """What is served of rates, and how often it was asked for."""

    now_us: Callable[[], int]
    faults: RateFaults = field(default_factory=RateFaults)
    asked: Counter[str] = field(default_factory=Counter)

    def routes(self) -> list[Route]:
        """Return the routes of both sources."""
        return [Route(treasury.PATH, self.treasury), Route(fred.PATH, self.fred)]

    async def treasury(self, request: Request) -> Response:
        """Answer a request for a page of the Treasury's."""
        faults = self._met("treasury", request)
        period = treasury.period_of(dict(request.query_params))
        if period is None:
            return Response(page("Page not found"), 404, media_type="text/html")
        text = treasury.page(*period, self.now_us(), faults)
        return _sent(text, ATOM, faults)

    async def fred(self, request: Request) -> Response:
        """Answer a request for a series of FRED's."""
        faults = self._met("fred", request)
        asked = fred.asked(dict(request.query_params))
        if asked is None:
            return Response(page("Error - St. Louis Fed"), 404, media_type="text/html")
        return _sent(fred.graph(*asked, self.now_us(), faults), CSV, faults)

    def _met(self, source: str, request: Request) -> frozenset[str]:
        self.asked[source] += 1
        return self.faults.of(source, str(request.url.query))


def _sent(text: str, kind: str, faults: frozenset[str]) -> Response:
    """Return a page, or what is sent in its place."""
    if "away" in faults:
        return away("html_503")
    if "too_many" in faults:
        return away("http_429_html", "0")
    if "redirect" in faults:
        return Response(b"", 302, {"location": ELSEWHERE})
    if "html" in faults:
        return Response(page("Down for maintenance"), media_type="text/html")
    body = b"" if "empty" in faults else text.encode()
    if "half" in faults:
        body = body[: len(body) // 2]
    return (
        CutResponse(body, media_type=kind) if "cut" in faults else Response(body, media_type=kind)
    )
