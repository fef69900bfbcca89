"""A stretch in which the exchange is away, by switch: from when, for how long, with which answer.

=================  ==================================================================
html_502 html_503  the CDN's page; with ``Retry-After`` where that is given
html_405           nginx's page, as a POST gets it during a release
error_11051        system_maintenance, as JSON
refused            connections are cut, and new ones refused
http_429_html      a rate limit as a web page,
http_429_empty     without a body,
http_429_json      and with an envelope (error 10028)
drip               the right answer, a byte every five seconds
=================  ==================================================================
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.exchange.responses import AWAY

REFUSED, DRIP = "refused", "drip"
FORMS = (*AWAY, REFUSED, DRIP)


@dataclass
class Outage:
    """When the exchange is away, and what it answers meanwhile.

    It begins with the request after the first `after`, and ends `seconds` later or, where that is
    given, after `requests`. `shut` is called where connections are to be refused.
    """

    form: str
    after: int = 0
    seconds: float = float("inf")
    requests: float = float("inf")
    retry_after: str | None = None
    clock: Callable[[], float] = time.monotonic
    shut: Callable[[float], None] | None = None
    met: int = 0
    _asked: int = 0
    _began: float | None = None
    moments: list[float] = field(default_factory=list)

    def meets(self) -> bool:
        """Count a request, and tell whether it meets the outage."""
        self._asked += 1
        if self._asked <= self.after:
            return False
        now = self.clock()
        self._began = now if self._began is None else self._began
        if now - self._began >= self.seconds or self.met >= self.requests:
            return False
        self.met += 1
        self.moments.append(round(now - self._began, 3))
        if self.form == REFUSED and self.shut is not None:
            self.shut(self.seconds)
        return True
