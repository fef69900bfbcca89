import asyncio
import time
import zlib
from pathlib import Path

import httpx
import pytest

from etl.deribit.client import DeribitClient, Retry
from etl.deribit.download import Bounds, download
from etl.deribit.rate_limit import CreditBucket
from etl.deribit.request import Request
from etl.errors import EtlError, UnavailableError
from lake.span import Span
from tests.etl.staged import MINUTES, chart, minutes

GOOD = chart(minutes(0, 1))
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(GOOD), GOOD)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def drip(data, *, pause, at_once=b""):
    async def send(writer):
        writer.write(at_once)
        for byte in data:
            writer.write(bytes([byte]))
            await asyncio.sleep(pause)

    return send


def at_once(data):
    async def send(writer):
        writer.write(data)

    return send


async def without_end(writer):
    writer.write(CHUNKED)
    for _ in range(100):
        writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        await writer.drain()


async def inflated(writer):
    packed = zlib.compress(b" " * 50_000_000)
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(packed)
    )
    writer.write(packed)


def served(send, ask):
    """What `ask(url)` returns of a server that sends as it is told."""

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        try:
            await send(writer)
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        writer.close()

    async def main():
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                return await ask(http, f"http://{host}:{port}")
        finally:
            server.close()

    return asyncio.run(main())


def received(send, **bounds):
    return served(send, lambda http, url: download(http, url, {"a": 1}, Bounds(**bounds)))


def test_a_whole_answer_has_its_status_headers_and_bytes():
    found = received(at_once(WHOLE))

    assert (found.status, found.body, found.fault) == (200, GOOD, "")
    assert found.headers["content-length"] == str(len(GOOD))


def test_an_answer_that_drips_is_broken_off_however_steadily_it_does():
    started = time.monotonic()
    found = received(drip(GOOD, pause=0.01, at_once=HEAD), seconds=0.4)

    assert time.monotonic() - started < 1
    assert "not whole after 0.4" in found.fault
    assert (found.status, found.body) == (200, b"")


def test_a_head_that_drips_is_no_answer():
    with pytest.raises(httpx.ReadTimeout, match=r"not whole after 0\.2.* s: 0 bytes"):
        received(drip(HEAD, pause=0.05), seconds=0.2)


def test_a_long_answer_has_more_time_than_a_short_one():
    async def slow_but_worth_it(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(10):
            writer.write(b"x" * 100_000)
            await asyncio.sleep(0.04)

    found = received(slow_but_worth_it, seconds=0.2)

    assert (len(found.body), found.fault) == (1_000_000, "")


@pytest.mark.parametrize("send", [without_end, inflated])
def test_an_answer_without_end_is_broken_off_at_its_bound(send):
    found = received(send, bytes=1_000_000)

    assert found.fault == "more than 1 MB (answer_megabytes)"


def test_a_cut_body_is_told():
    assert received(at_once(HEAD + b"half")).fault.startswith("RemoteProtocolError: peer closed")


def test_an_answer_that_drips_is_staged_with_its_reason_and_asked_again(tmp_path):
    staged = []
    request = Request(MINUTES.method, {}, Span(0, 60_000), Path("raw"), MINUTES.check)

    async def call(http, url):
        http.base_url = url
        bucket = CreditBucket(tmp_path / "credits", capacity=1e9, refill=1e9)
        client = DeribitClient(
            http, bucket=bucket, listing=bucket, cost=1, slots=1, retry=Retry(2, 60),
            stage=lambda one, _: staged.append(one), bounds=Bounds(seconds=0.1),
        )  # fmt: skip
        try:
            return await client.call(request)
        except EtlError as error:
            return error

    error = served(drip(GOOD, pause=0.01, at_once=HEAD), call)

    assert type(error) is UnavailableError
    assert len(staged) == 2
    assert all("HTTP 200, not whole after" in one.outcome for one in staged)
    assert all((one.http_status, one.body) == (200, None) for one in staged)
