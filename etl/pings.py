"""Pings by the protocol of Healthchecks.io: how a run began, and how it ended; trouble stops none.

Its rules: a POST to the check's address means success, with ``/start``, ``/fail`` or an exit status
behind it what they say; ``rid`` tells runs apart; 100 kB of a body are kept; more than five pings a
minute are ignored, and so is a check that does not exist, both with status 200.

References
----------
Healthchecks.io, "Pinging API", https://healthchecks.io/docs/http_api/
"""

import asyncio
import logging
import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from etl.deribit.surroundings import certificates, proxy_of

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
BODY_BYTES = 100_000
IGNORED = {"OK (not found)": "there is no such check", "OK (rate limited)": "too many pings"}


@dataclass(frozen=True, slots=True)
class Check:
    """A check, and one run it is told of; without an address nothing is sent.

    The address is a secret, and never logged.
    """

    url: object | None = field(repr=False)
    run: str = field(default_factory=lambda: str(uuid.uuid4()))

    def start(self) -> None:
        """Say that the run begins."""
        self._send("/start", "")

    def end(self, status: int, body: str) -> None:
        """Say how the run ended: its exit status, and a line for whoever is rung."""
        self._send(f"/{status}", body)

    def _send(self, suffix: str, body: str) -> None:
        if self.url is None:
            return
        url = str(self.url)
        if trouble := asyncio.run(_once(url, suffix, run=self.run, body=body)):
            log.warning("pings to %s do not count: %s", urlsplit(url).hostname, trouble)


async def post(client: "httpx.AsyncClient", url: str, suffix: str, *, run: str, body: str) -> str:
    """Send one ping; return what went wrong, without the address, and nothing if it counts."""
    import httpx  # noqa: PLC0415

    kept = body.encode()[:BODY_BYTES].decode(errors="ignore").encode()
    address = httpx.URL(url)
    path = address.path.rstrip("/") + suffix
    target = address.copy_with(path=path).copy_merge_params({"rid": run})
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer = await client.post(target, content=kept)
    except Exception as error:  # noqa: BLE001  whatever happens to a ping, the run goes on
        return type(error).__name__
    if not answer.is_success:
        return f"HTTP {answer.status_code}"
    return IGNORED.get(answer.text.strip(), "")


def connection(url: str) -> "httpx.AsyncClient":
    """Return what pings to an address go through.

    Raises
    ------
    UsageError
        If the environment names certificates that are not there, or a proxy that cannot be used.
    """
    import httpx  # noqa: PLC0415

    proxy = proxy_of(url, os.environ)
    return httpx.AsyncClient(
        timeout=TIMEOUT_S,
        headers={"User-Agent": "deribit-lake"},
        verify=certificates(os.environ),
        proxy=proxy.read() if proxy else None,
        trust_env=False,
    )


async def _once(url: str, suffix: str, *, run: str, body: str) -> str:
    """Send one ping on a connection of its own."""
    try:
        client = connection(url)
    except Exception as error:  # noqa: BLE001  whatever happens to a ping, the run goes on
        return type(error).__name__
    async with client:
        return await post(client, url, suffix, run=run, body=body)
