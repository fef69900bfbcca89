"""Read the whole of an answer: in time, and within a size."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

SLOWEST = 100_000
"""Bytes a second. An answer may take as much longer than `seconds` as its bytes need at this rate.

A page is some 300 kB and comes in `seconds` even where a line of 1 Mbit/s is shared by sixteen of
them; a list of expired options is over 100 MB, is asked for alone, and gets 17 minutes.
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an answer may take: seconds for the whole of it, bytes unpacked."""

    seconds: float = 60.0
    bytes: int = 512_000_000


@dataclass(frozen=True, slots=True)
class Received:
    """An answer: its head, and its body or why that is not whole."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    fault: str = ""


async def download(
    http: "httpx.AsyncClient", url: str, params: Mapping[str, Any], bounds: Bounds
) -> Received:
    """Return the answer to a GET; a body that is cut, endless or too slow is told, not raised.

    Raises
    ------
    httpx.HTTPError
        If no head of an answer came in time.
    """
    import httpx  # noqa: PLC0415  (0.2 s that only who asks should pay)

    head: httpx.Response | None = None
    body, started = bytearray(), asyncio.get_running_loop().time()
    try:
        async with (
            asyncio.timeout(bounds.seconds) as deadline,
            http.stream("GET", url, params=params) as head,
        ):
            async for chunk in head.aiter_bytes():
                body += chunk
                if len(body) > bounds.bytes:
                    fault = f"more than {bounds.bytes / 1e6:,g} MB (answer_megabytes)"
                    return Received(head.status_code, head.headers, b"", fault)
                paid = head.num_bytes_downloaded / SLOWEST
                deadline.reschedule(started + bounds.seconds + paid)
    except TimeoutError:
        fault = f"not whole after {asyncio.get_running_loop().time() - started:.3g} s: "
        fault += f"{len(body):,} bytes (answer_seconds)"
        if head is None:
            raise httpx.ReadTimeout(fault) from None
    except httpx.HTTPError as error:
        if head is None:
            raise
        fault = f"{type(error).__name__}: {error}".rstrip(": ")
    else:
        return Received(head.status_code, head.headers, bytes(body))
    return Received(head.status_code, head.headers, b"", fault)
