"""What is said of answers that are none of the exchange's."""

from pathlib import Path

import pytest

from etl.deribit.answer import judge
from etl.deribit.request import Request
from lake.span import Span
from tests.etl.staged import MINUTES, attempt, chart

SHUT_OUT = "https://sim lets nobody in, or is not the exchange: public/test: HTTP "
AWAY_TO = "https://sim answers with a redirect to "
CHALLENGE = b"<!DOCTYPE html><html><head><title>Just a\n moment...</title></head></html>"


@pytest.mark.parametrize(
    ("status", "body", "location", "told"),
    [
        (301, b"", "https://new.deribit.com/x", AWAY_TO + "https://new.deribit.com/x: set --host"),
        (302, b"<html>", "/login", AWAY_TO + "/login: set --host"),
        (307, b"", None, AWAY_TO + "nowhere: set --host"),
        (308, b"", "https://b", AWAY_TO + "https://b: set --host"),
        (403, CHALLENGE, None, SHUT_OUT + "403 with an HTML page titled 'Just a moment...'"),
        (401, b"", None, SHUT_OUT + "401 with an empty body"),
        (404, b"<h1>no</h1>\n", None, SHUT_OUT + "404 with no JSON-RPC envelope: '<h1>no</h1>'"),
        (502, CHALLENGE, None, "public/test: HTTP 502 with an HTML page titled 'Just a moment...'"),
        (429, b"", None, "public/test was refused: HTTP 429 with an empty body (code 429)"),
    ],
)
def test_one_line_says_what_answered_in_the_exchanges_place(status, body, location, told):
    request = Request("public/test", {}, Span(0, 0), Path(), MINUTES.check)

    judged, error = judge(request, attempt(None), status, body, location=location)

    assert str(error) == judged.outcome == told


def test_a_redirect_of_the_history_host_names_its_own_option():
    request = Request("public/test", {}, Span(0, 0), Path(), MINUTES.check, on_history=True)

    _, error = judge(request, attempt(None), 301, b"", location="https://b")

    assert str(error).endswith("set --history-host")


@pytest.mark.parametrize("status", [302, 400, 404, 429, 503])
def test_a_result_is_none_where_the_status_says_that_there_is_none(status):
    request = Request("public/test", {}, Span(0, 0), Path(), MINUTES.check)

    judged, error = judge(request, attempt(None), status, chart([]), location="https://b")

    assert error is not None
    assert judged.outcome == str(error)
