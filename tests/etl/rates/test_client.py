"""Asking for a page of rates: what is tried again, what is not, and that all of it is staged."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from etl.deribit.client import Retry
from etl.deribit.download import Bounds
from etl.errors import NoExchangeError, RatePageError, UnavailableError
from etl.rates.client import RateClient
from etl.rates.pages import pages_of
from lake.span import Span

TREASURY, BEFORE, FRED, *_ = pages_of(2024)
URLS = {"treasury": "https://treasury.sim", "fred": "https://fred.sim"}
GOOD = b"observation_date,DGS1MO\n2024-01-02,5.55\n"
DATE = {"date": "Tue, 02 Jan 2024 22:15:00 GMT"}
HTML = b"<html><title>No</title></html>"


def asked(answers, *, page=FRED, attempts=4, bounds=Bounds(60, 1_000_000)):  # noqa: B008  frozen
    """Return what was staged, the pauses, the requests, and the error that came out if any."""
    requests, staged, pauses = [], [], []
    todo = list(answers)

    def respond(request):
        requests.append(request)
        one = todo.pop(0) if len(todo) > 1 else todo[0]
        if isinstance(one, Exception):
            raise one
        return one

    async def sleep(seconds):
        pauses.append(seconds)

    async def run():
        transport = httpx.MockTransport(respond)
        async with httpx.AsyncClient(transport=transport) as http:
            client = RateClient(
                http,
                urls=URLS,
                stage=lambda attempt, folder: staged.append((attempt, folder)),
                retry=Retry(attempts, 100),
                bounds=bounds,
                sleep=sleep,
                clock=lambda: 1_704_300_000.0,
            )
            await client.get(page, wanted=Span(1_000, 2_000), folder=Path("folder"))

    try:
        asyncio.run(run())
    except UnavailableError as error:
        return staged, pauses, requests, error
    return staged, pauses, requests, None


def test_a_page_is_asked_for_by_its_parameters_and_staged_as_it_came():
    staged, pauses, (request,), error = asked([httpx.Response(200, content=GOOD, headers=DATE)])
    ((attempt, folder),) = staged

    assert (error, pauses, folder) == (None, [], Path("folder"))
    assert str(request.url) == (
        "https://fred.sim/graph/fredgraph.csv?id=DGS1MO&cosd=2023-12-01&coed=2024-12-31"
    )
    assert (attempt.outcome, attempt.body, attempt.http_status) == ("ok", GOOD, 200)
    assert json.loads(attempt.params) == dict(request.url.params)
    assert (attempt.host, attempt.fetched_at) == ("https://fred.sim", 1_704_300_000_000_000)
    assert attempt.us_out == 1_704_233_700_000_000
    assert (attempt.window_start, attempt.window_end) == (1_000_000, 2_000_000)


def test_the_treasury_is_asked_a_page_a_year_and_for_the_december_before():
    _, _, (year,), _ = asked([httpx.Response(404)], page=TREASURY)
    _, _, (month,), _ = asked([httpx.Response(404)], page=BEFORE)
    feed = "https://treasury.sim/resource-center/data-chart-center/interest-rates/pages/xml"

    assert str(year.url).startswith(f"{feed}?data=daily_treasury_yield_curve&")
    assert year.url.params["field_tdr_date_value"] == "2024"
    assert month.url.params["field_tdr_date_value_month"] == "202312"


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(503, content=HTML),
        httpx.Response(429, headers={"retry-after": "7"}),
        httpx.Response(200, content=HTML),
        httpx.Response(200, content=b""),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
    ],
    ids=["503", "429", "html", "empty", "connect", "timeout"],
)
def test_what_may_pass_is_tried_again_and_every_try_is_staged(fault):
    staged, pauses, _, error = asked([fault, httpx.Response(200, content=GOOD)])

    assert error is None
    assert [attempt.outcome == "ok" for attempt, _ in staged] == [False, True]
    assert len({attempt.attempt_id for attempt, _ in staged}) == 2
    asks_seven = isinstance(fault, httpx.Response) and fault.status_code == 429
    assert pauses[0] >= 7 if asks_seven else 0.5 <= pauses[0] <= 0.8


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_what_is_refused_is_not_asked_again(status):
    staged, _, _, error = asked([httpx.Response(status, content=HTML)])

    assert str(error) == f"fred, DGS1MO: HTTP {status} with an HTML page titled 'No'"
    assert [attempt.body for attempt, _ in staged] == [HTML]


@pytest.mark.parametrize(
    ("answer", "kind", "line"),
    [
        (httpx.Response(503), UnavailableError, "fred, DGS1MO: HTTP 503 with an empty body"),
        (httpx.ConnectError("refused"), NoExchangeError,
         "https://fred.sim did not answer: ConnectError: refused"),
        (httpx.Response(200, content=HTML), RatePageError,
         "fred, DGS1MO: expected CSV of observation_date,DGS1MO, got an HTML page titled 'No'"),
        (httpx.Response(200, content=GOOD * 100_000), UnavailableError,
         "fred, DGS1MO: HTTP 200, more than 1 MB (answer_megabytes)"),
    ],
)  # fmt: skip
def test_what_does_not_come_after_all_tries_is_one_line(answer, kind, line):
    staged, _, _, error = asked([answer])

    assert (type(error), str(error)) == (kind, line)
    assert [attempt.outcome for attempt, _ in staged] == [line] * 4


def test_a_redirect_within_the_host_is_followed():
    away = httpx.Response(301, headers={"location": "/data/fredgraph.csv?id=DGS1MO"})
    staged, _, requests, error = asked([away, httpx.Response(200, content=GOOD)])

    assert error is None
    assert str(requests[1].url) == "https://fred.sim/data/fredgraph.csv?id=DGS1MO"
    assert [attempt.outcome for attempt, _ in staged] == ["ok"]


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ("https://elsewhere.sim/x", "redirects to https://elsewhere.sim/x: set fred_url if that"),
        ("http://fred.sim/x", "redirects to http://fred.sim/x: set fred_url"),
        ("/graph/fredgraph.csv", "redirects more than 3 times"),
        ("http://[fred.sim/x", "redirects to 'http://[fred.sim/x', which is no address"),
    ],
)
def test_other_redirects_are_refused_at_once(location, line):
    staged, pauses, _, error = asked([httpx.Response(302, headers={"location": location})])

    assert line in str(error)
    assert (len(staged), pauses) == (1, [])


@pytest.mark.parametrize("text", ["", "yesterday", "Tue, 99 Jan 2024 22:15:00 GMT"])
def test_a_date_that_is_none_is_not_kept(text):
    answer = httpx.Response(200, content=GOOD, headers={"date": text})
    ((attempt, _),), *_ = asked([answer])

    assert (attempt.outcome, attempt.us_out) == ("ok", None)
