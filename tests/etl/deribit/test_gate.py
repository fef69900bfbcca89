"""What a run does while the exchange is away, in virtual time."""

import asyncio
import logging
import re
import socket
from collections import Counter
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from etl.deribit.client import FIRST_TRY, DeribitClient, Retry
from etl.deribit.gate import LONGEST_S, Patience, asked_pause
from etl.deribit.rate_limit import CreditBucket
from etl.deribit.request import Request
from etl.errors import DeribitError, EtlError, NoExchangeError, UnavailableError
from lake.span import Span
from tests.etl.deribit.virtual import run
from tests.etl.staged import MINUTES, chart, minutes

HOUR, MINUTE = 3_600, 60
GOOD = chart(minutes(0, 1))
PATIENT = Patience(75 * MINUTE, MINUTE)
FORMS = {
    "html_502": (502, b"<html><title>502 Bad Gateway</title></html>"),
    "html_503": (503, b"<html>maintenance</html>"),
    "html_405": (405, b"<html>Not Allowed</html>"),
    "error_11051": (200, b'{"error": {"code": 11051, "message": "system_maintenance"}}'),
    "json_503": (503, b"{}"),
}
TOO_MANY = [b"<html>Too Many Requests</html>", b"", b"{}", b'{"error": {"code": 10028}}']


def request(number, *, on_history=False):
    params = {"a": number}
    return Request(
        MINUTES.method, params, Span(0, 60_000), Path("raw"), MINUTES.check, on_history=on_history
    )


class Away:
    """An exchange that is away from one moment to another [s], and counts what it is asked then."""

    def __init__(self, start, end, answer, headers=None, latency=0.1):
        self.start, self.end, self.answer, self.headers = start, end, answer, headers or {}
        self.latency = latency
        self.moments = []
        self.origin = None

    async def __call__(self, asked):
        loop = asyncio.get_running_loop()
        self.origin = loop.time() if self.origin is None else self.origin
        now = loop.time() - self.origin
        await asyncio.sleep(self.latency)
        if not self.start <= now < self.end:
            return httpx.Response(200, content=GOOD)
        self.moments.append(now - self.start)
        answer = self.answer(asked) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer[0], content=answer[1], headers=self.headers)

    def most_a_minute(self, *, after):
        return max(Counter(int(one // MINUTE) for one in self.moments if one >= after).values())


def asked(exchange, calls, tmp_path, *, patience=PATIENT, slots=16, is_known=False):
    """What `calls(client)` returns or raises, and the seconds it took."""

    async def main():
        loop = asyncio.get_running_loop()
        started = loop.time()
        http = httpx.AsyncClient(base_url="https://sim", transport=httpx.MockTransport(exchange))
        bucket = CreditBucket(tmp_path / "credits", capacity=1e9, refill=1e9)
        async with http:
            client = DeribitClient(
                http, bucket=bucket, listing=bucket, cost=1, slots=slots, retry=Retry(12, 300),
                stage=lambda *_: None, patience=patience, clock=loop.time, sleep=asyncio.sleep,
                history_url="https://history", is_known=is_known,
            )  # fmt: skip
            try:
                return await calls(client), loop.time() - started
            except EtlError as error:
                return error, loop.time() - started

    return run(main())


async def many(client, count=200):
    """What comes of many requests at once."""
    results = await asyncio.gather(*(client.call(request(one)) for one in range(count)))
    return [one.outcome for one in results]


async def first(client):
    return (await client.call(request(0), retry=FIRST_TRY)).outcome


async def second(client):
    await first(client)
    return await first(client)


def notices(caplog):
    return [one.getMessage() for one in caplog.records if getattr(one, "is_notice", False)]


@pytest.mark.parametrize("form", FORMS)
def test_an_hour_of_maintenance_in_mid_run_is_waited_for_with_at_most_a_request_a_minute(
    form, tmp_path, caplog
):
    exchange = Away(0.5, HOUR, FORMS[form])

    outcomes, seconds = asked(exchange, many, tmp_path)

    assert outcomes == ["ok"] * 200
    assert HOUR < seconds < HOUR + 3 * MINUTE
    assert len(exchange.moments) <= 60
    assert exchange.most_a_minute(after=MINUTE) == 1
    said, back = notices(caplog)
    assert re.search(r"is away since 20..-..-.. ..:..:.. UTC: .* for 75 min at most, until ", said)
    assert back.startswith("https://sim answers again after 60 min")


@pytest.mark.parametrize("form", FORMS)
def test_maintenance_is_waited_for_from_the_first_request_on(form, tmp_path):
    exchange = Away(0, HOUR, FORMS[form])

    outcome, seconds = asked(exchange, first, tmp_path)

    assert outcome == "ok"
    assert seconds < HOUR + 3 * MINUTE
    assert len(exchange.moments) <= 45


def test_an_answer_that_was_under_way_when_the_exchange_went_is_no_sign_that_it_is_back(
    tmp_path, caplog
):
    async def exchange(asked):
        loop = asyncio.get_running_loop()
        exchange.began = exchange.began or loop.time()
        is_late = loop.time() - exchange.began < 0.1 and asked.url.params["a"] == "3"
        await asyncio.sleep(5 if is_late else 0.1)
        if is_late or loop.time() - exchange.began > HOUR:
            return httpx.Response(200, content=GOOD)
        return httpx.Response(503, content=b"")

    exchange.began = None

    asked(exchange, many, tmp_path)

    assert len(notices(caplog)) == 2


@pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), httpx.ReadError("reset")])
def test_a_lost_connection_is_waited_for_once_the_exchange_was_heard(fault, tmp_path):
    exchange = Away(0.05, HOUR, fault)

    assert asked(exchange, second, tmp_path)[0] == "ok"


def unknown(_):
    try:
        raise socket.gaierror(-2, "Name or service not known")
    except OSError as error:
        wrapped = httpx.ConnectError("[Errno -2] Name or service not known")
        wrapped.__cause__ = error
        return wrapped


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        unknown,
        (301, b""),
        (403, b"<title>Just a moment...</title>"),
        (404, b"<html>"),
        (200, b"<html>"),
    ],
)
def test_what_is_no_exchange_fails_soon_and_in_one_line(answer, tmp_path):
    exchange = Away(0, HOUR, answer)

    error, seconds = asked(exchange, first, tmp_path)

    assert isinstance(error, NoExchangeError)
    assert seconds < 10
    assert "\n" not in str(error)


@pytest.mark.parametrize("answer", [httpx.ConnectError("refused"), unknown, (404, b"<html>")])
def test_an_exchange_known_from_before_is_waited_for_though_nothing_ever_answered(answer, tmp_path):
    outcome, seconds = asked(Away(0, HOUR, answer), first, tmp_path, is_known=True)

    assert outcome == "ok"
    assert HOUR <= seconds < HOUR + 3 * MINUTE


def test_a_history_host_nobody_has_fails_soon_although_the_exchange_was_heard(tmp_path):
    async def calls(client):
        await first(client)
        return await client.call(request(0, on_history=True), retry=FIRST_TRY)

    error, seconds = asked(Away(0.05, HOUR, unknown), calls, tmp_path)

    assert isinstance(error, NoExchangeError)
    assert seconds < 10


def test_a_longer_absence_ends_the_run_in_one_line_after_a_last_look(tmp_path):
    exchange = Away(0.5, 10 * HOUR, FORMS["html_503"])

    async def calls(client):
        return await asyncio.gather(
            *(client.call(request(one)) for one in range(200)), return_exceptions=True
        )

    outcomes, seconds = asked(exchange, calls, tmp_path)

    errors = [one for one in outcomes if isinstance(one, UnavailableError)]
    assert len(errors) > 100
    assert "https://sim did not come back in 75 min (patience_minutes), since 20" in str(errors[0])
    assert 75 * MINUTE < seconds < 76 * MINUTE
    assert 74 * MINUTE < exchange.moments[-1] < 76 * MINUTE


def test_without_patience_nobody_waits(tmp_path):
    exchange = Away(0, HOUR, FORMS["html_503"])

    error, seconds = asked(exchange, first, tmp_path, patience=Patience())

    assert "HTTP 503" in str(error)
    assert (len(exchange.moments), seconds < 10) == (6, True)


def test_a_fault_of_a_moment_is_tried_again_at_once_and_not_worth_a_notice(tmp_path, caplog):
    exchange = Away(0.05, 1, FORMS["html_502"])

    outcome, seconds = asked(exchange, second, tmp_path)

    assert (outcome, seconds < 3) == ("ok", True)
    assert notices(caplog) == []


def test_a_request_the_exchange_alone_fails_at_is_given_up_while_others_are_answered(tmp_path):
    async def exchange(asked):
        await asyncio.sleep(1)
        answer = FORMS["html_502"] if asked.url.params["a"] == "7" else (200, GOOD)
        return httpx.Response(answer[0], content=answer[1])

    async def calls(client):
        async def others():
            while True:
                await client.call(request(1))

        beside = asyncio.create_task(others())
        try:
            return await client.call(request(7))
        finally:
            beside.cancel()

    error, seconds = asked(exchange, calls, tmp_path)

    assert "HTTP 502" in str(error)
    assert seconds < 300


@pytest.mark.parametrize("body", TOO_MANY)
def test_who_is_told_to_retry_later_waits_as_long_with_all_requests(body, tmp_path, caplog):
    exchange = Away(0.5, 1.5, (429, body), {"Retry-After": "30"})

    outcomes, seconds = asked(exchange, many, tmp_path)

    assert outcomes == ["ok"] * 200
    assert 30 < seconds < 33
    assert len(exchange.moments) == 16  # what was under way
    said, _ = notices(caplog)
    assert "https://sim limits requests since" in said


def test_a_steady_429_gets_few_requests_and_ever_fewer(tmp_path):
    exchange = Away(0.5, 30 * MINUTE, (429, b"<html>"))

    outcomes, _ = asked(exchange, many, tmp_path)

    assert outcomes == ["ok"] * 200
    assert len([one for one in exchange.moments if one < 90]) <= 16 + 8
    assert exchange.most_a_minute(after=MINUTE) == 1


def test_a_release_that_refuses_connections_after_it_said_so_is_waited_for_too(tmp_path):
    answers = iter([(503, b"")] * 5)
    exchange = Away(0, HOUR, lambda _: next(answers, httpx.ConnectError("refused")))

    assert asked(exchange, first, tmp_path)[0] == "ok"
    assert len(exchange.moments) <= 45


def test_a_longer_retry_after_of_a_release_is_honoured(tmp_path):
    exchange = Away(0, 20 * MINUTE, FORMS["html_503"], {"Retry-After": "1200"})

    outcome, seconds = asked(exchange, first, tmp_path)

    assert outcome == "ok"
    assert len(exchange.moments) == 1
    assert 20 * MINUTE < seconds < 21 * MINUTE


def test_a_refusal_of_the_exchange_shows_that_it_is_back(tmp_path):
    async def exchange(_):
        exchange.asked += 1
        if exchange.asked <= 8:
            return httpx.Response(503, content=b"")
        return httpx.Response(400, content=b'{"error": {"code": -32602, "message": "no"}}')

    exchange.asked = 0

    error, seconds = asked(exchange, first, tmp_path)

    assert type(error) is DeribitError
    assert seconds < 20


def test_who_is_cancelled_while_waiting_ends_at_once(tmp_path):
    async def calls(client):
        waiting = asyncio.create_task(many(client))
        await asyncio.sleep(20 * MINUTE)
        waiting.cancel()
        started = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return asyncio.get_running_loop().time() - started

    took, _ = asked(Away(0.5, HOUR, FORMS["html_503"]), calls, tmp_path)

    assert took < 1


NOW = 1_764_320_400.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"Retry-After": formatdate(NOW - 90, usegmt=True)}, None),
        ({"Retry-After": "1000000000"}, LONGEST_S),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "0"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "7", "x-ratelimit-reset": "90"}, 7),
        ({"x-ratelimit-reset": "12"}, 12),
        ({"x-ratelimit-reset": f"{NOW + 12:.0f}"}, 12),
        ({"x-ratelimit-reset": f"{(NOW + 12) * 1000:.0f}"}, 12),
        ({"x-ratelimit-reset": "later"}, None),
        ({}, None),
    ],
)
def test_what_headers_ask_for_is_read_within_an_hour(headers, seconds):
    found = asked_pause(httpx.Headers(headers), NOW)

    assert found == (None if seconds is None else pytest.approx(seconds))


def test_notices_go_to_the_log_as_warnings(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        asked(Away(0, HOUR, FORMS["html_502"]), first, tmp_path)

    assert all(one.levelno == logging.WARNING for one in caplog.records)
    assert len(notices(caplog)) == 2
