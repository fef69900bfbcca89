import asyncio
import dataclasses
import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.deribit.answer import AWAY, TRANSIENT, judge
from etl.deribit.client import DeribitClient, Retry
from etl.deribit.rate_limit import CreditBucket
from etl.deribit.request import Request
from etl.errors import (
    DeribitError,
    EtlError,
    MaintenanceError,
    NoExchangeError,
    RateLimitedError,
    TransientError,
    UnavailableError,
)
from lake.span import Span
from tests.etl.staged import MINUTES, attempt, chart, envelope, minutes
from tests.exchange.exponents import in_exponent_form

GOOD = chart(minutes(0, 1))
REQUEST = Request(MINUTES.method, {"a": 1}, Span(0, 60_000), Path("raw"), MINUTES.check)


def refusal(code, message="refused"):
    return json.dumps({"jsonrpc": "2.0", "error": {"code": code, "message": message}}).encode()


class Exchange:
    """Gives the answers it is told to, one after the other; the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, content=body)


async def no_sleep(_):
    """Try again at once."""


@pytest.fixture
def bucket(tmp_path):
    return CreditBucket(tmp_path / "credits", capacity=1e9, refill=1e9)


def called(exchange, bucket, request=REQUEST, *, heard_us=None):
    """What a call returns or raises, and what it staged."""
    staged = []

    async def call():
        http = httpx.AsyncClient(base_url="https://sim", transport=httpx.MockTransport(exchange))
        async with http:
            client = DeribitClient(
                http, bucket=bucket, listing=bucket, cost=500, slots=2, retry=Retry(4, 60),
                stage=lambda one, folder: staged.append((one, folder)), sleep=no_sleep,
            )  # fmt: skip
            if heard_us is not None:
                client.take_clock(heard_us)
            return await client.call(request)

    try:
        outcome = asyncio.run(call())
    except EtlError as error:
        outcome = error
    assert all(folder == request.folder for _, folder in staged)
    return outcome, [one for one, _ in staged]


def test_a_good_answer_is_staged_as_it_was_received(bucket):
    body = GOOD[:-1] + b', "usIn": 5, "usOut": 7, "new": [1]}  \n'
    exchange = Exchange(body)

    outcome, staged = called(exchange, bucket)

    assert staged == [outcome]
    assert (outcome.body, outcome.outcome, outcome.http_status) == (body, "ok", 200)
    assert (outcome.us_in, outcome.us_out) == (5, 7)
    assert (outcome.window_start, outcome.window_end) == (0, 60_000_000)
    assert (outcome.params, outcome.host) == ('{"a":1}', "https://sim")
    (request,) = exchange.requests
    assert str(request.url) == "https://sim/api/v2/public/get_tradingview_chart_data?a=1"


@pytest.mark.parametrize(
    "bad",
    [
        refusal(10028, "too_many_requests"),
        (429, refusal(10028, "too_many_requests")),
        refusal(11051, "system_maintenance"),
        refusal(10041, "settlement_in_progress"),
        (502, b"<html>Bad Gateway</html>"),
        (200, b"<html>maintenance</html>"),
        GOOD[:40],
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        envelope({"ticks": "x"}),
        envelope([]),
        chart(minutes(0, 1), close=[1.0]),
        b"{}",
        httpx.ReadTimeout("too slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("peer closed connection"),
    ],
    ids=repr,
)
def test_what_passes_by_itself_is_asked_again_and_every_attempt_is_staged_once(bucket, bad):
    exchange = Exchange(bad, GOOD)

    outcome, staged = called(exchange, bucket)

    body = bad[1] if isinstance(bad, tuple) else None if isinstance(bad, Exception) else bad
    assert [one.body for one in staged] == [body, GOOD]
    assert staged[0].outcome not in {"ok", ""}
    assert len({one.attempt_id for one in staged}) == 2
    assert (outcome, len(exchange.requests)) == (staged[1], 2)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (refusal(10028), RateLimitedError),
        ((429, b""), RateLimitedError),
        (refusal(11051), MaintenanceError),
        (refusal(10041), TransientError),
        ((502, b"<html>"), MaintenanceError),
        ((405, b"<html>"), MaintenanceError),
        ((403, b"<html>"), NoExchangeError),
        (httpx.ReadTimeout("too slow"), NoExchangeError),
    ],
)
def test_what_does_not_pass_is_given_up_after_the_retries(bucket, bad, kind):
    outcome, staged = called(Exchange(bad), bucket)

    assert type(outcome) is kind
    assert len(staged) == 4
    assert "\n" not in str(outcome)


@pytest.mark.parametrize("code", [13020, 10020, 11029, -32602, 11050])
def test_a_refusal_that_stays_is_not_asked_again(bucket, code):
    outcome, staged = called(Exchange((400, refusal(code, "not_found"))), bucket)

    assert type(outcome) is DeribitError
    assert outcome.code == code
    assert [one.outcome for one in staged] == [
        f"{MINUTES.method} was refused: not_found (code {code})"
    ]


@pytest.mark.parametrize("code", sorted(TRANSIENT | AWAY))
def test_refusals_that_pass_are_transient_or_say_that_the_exchange_is_away(code):
    _, error = judge(REQUEST, attempt(None), 200, refusal(code))

    assert type(error) is (MaintenanceError if code in AWAY else TransientError)


def test_a_want_of_credits_drains_the_bucket_all_processes_share(tmp_path):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    size = {"capacity": 10_000, "refill": 1, "sleep": sleep}
    called(Exchange(refusal(10028), GOOD), CreditBucket(tmp_path / "credits", **size))

    assert [round(wait) for wait in waits] == [500]


def test_an_error_counts_even_beside_a_result():
    body = json.dumps({"result": {}, "error": {"code": 10028}}).encode()

    _, error = judge(REQUEST, attempt(None), 200, body)

    assert type(error) is RateLimitedError


def test_an_error_whose_message_is_not_there_is_still_one():
    _, error = judge(REQUEST, attempt(None), 400, b'{"error": {"code": 13020, "data": null}}')

    assert error.code == 13020


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"reason": "instrument not found", "param": "instrument_name"},
         ": instrument not found (instrument_name)"),
        ({"reason": "must be an integer", "more": 1}, ": must be an integer"),
        ({"param": "depth"}, ": depth"),
        ({"reason": 5}, ""), ({}, ""), (None, ""), ("text", ""), ([], ""),
    ],
)  # fmt: skip
def test_a_refusal_says_the_reason_where_one_is_given(data, said):
    body = json.dumps({"error": {"code": -32602, "message": "Invalid params", "data": data}})

    _, error = judge(REQUEST, attempt(None), 400, body.encode())

    assert str(error) == f"{MINUTES.method} was refused: Invalid params (code -32602){said}"


@pytest.mark.parametrize(
    ("code", "reason", "is_unknown"),
    [(-32602, "instrument not found", True), (13020, "", True), (-32602, "value required", False),
     (10020, "", False)],
)  # fmt: skip
def test_an_unknown_instrument_has_either_of_two_codes(code, reason, is_unknown):
    body = {"error": {"code": code, "message": "x", "data": {"reason": reason}}}
    _, error = judge(REQUEST, attempt(None), 400, json.dumps(body).encode())

    assert error.is_unknown_instrument is is_unknown


def test_what_is_traded_on_coinbase_is_refused_by_name():
    request = dataclasses.replace(REQUEST, params={"instrument_name": "BTC_USDC"})
    _, error = judge(request, attempt(None), 400, b'{"error": {"code": 11060}}')

    assert type(error) is DeribitError
    assert "BTC_USDC is traded on Coinbase" in str(error)


def test_an_envelope_in_exponent_form_says_the_same():
    written = in_exponent_form(chart(minutes(0), usIn=1, status="ok"))
    clocks = b'{"result": {}, "usIn": 1.760745600000001e15, "usOut": 1760745600000002.0}'

    assert judge(REQUEST, attempt(None), 200, written)[1] is None
    judged, _ = judge(REQUEST, attempt(None), 200, clocks)
    assert (judged.us_in, judged.us_out) == (1_760_745_600_000_001, 1_760_745_600_000_002)
    _, error = judge(REQUEST, attempt(None), 400, b'{"error": {"code": 1.0028e4}}')
    assert type(error) is RateLimitedError


@pytest.mark.parametrize("clock", ["1.5", "-1", "1e19", "12345678901234567890", "[]"])
def test_a_clock_that_is_none_is_no_envelope(clock):
    body = f'{{"result": {{}}, "usOut": {clock}}}'.encode()

    judged, error = judge(REQUEST, attempt(None), 200, body)

    assert type(error) is UnavailableError
    assert judged.us_out is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
members = st.sampled_from(["result", "error", "usIn", "usOut", "code", "ticks", "open"])
bodies = (
    st.binary(max_size=50)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(members, json_values).map(lambda value: json.dumps(value).encode())
    | st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)).map(
        lambda flip: GOOD[: flip[0]] + bytes([flip[1]]) + GOOD[flip[0] + 1 :]
    )
)


@given(body=bodies, status=st.integers(200, 599))
def test_any_body_is_judged_kept_and_never_breaks_the_judge(body, status):
    judged, error = judge(REQUEST, attempt(None), status, body)

    assert (judged.body, judged.http_status) == (body, status)
    assert (judged.outcome == "ok") == (error is None)
    assert error is None or isinstance(error, EtlError)


@given(body=bodies)
def test_what_is_judged_good_can_be_folded(body):
    _, error = judge(REQUEST, attempt(None), 200, body)

    if error is None:
        assert MINUTES.decode(body).columns[0] == "timestamp_ms"


def test_a_failed_stage_ends_the_call(bucket):
    def full(*_):
        raise OSError(28, "no space left")

    async def call(http):
        client = DeribitClient(
            http, bucket=bucket, listing=bucket, cost=0, slots=1, retry=Retry(4, 60), stage=full
        )
        await client.call(REQUEST)

    http = httpx.AsyncClient(base_url="https://s", transport=httpx.MockTransport(Exchange(GOOD)))
    with pytest.raises(OSError, match="no space left"):
        asyncio.run(call(http))


@pytest.mark.parametrize("apart_us", [-86_400_000_000, 86_400_000_000])
def test_an_answer_whose_clock_is_far_from_that_of_the_list_is_asked_for_again(bucket, apart_us):
    now = 1_760_000_000_000_000
    lie, truth = (envelope({"status": "no_data"}, usOut=now + off) for off in (apart_us, 0))

    answer, staged = called(Exchange(lie, truth), bucket, heard_us=now)

    assert answer.us_out == now
    assert [one.outcome for one in staged][1:] == ["ok"]
    assert staged[0].outcome.endswith("the list of instruments said 2025-10-09 08:53: not believed")


def test_an_exchange_whose_clock_stands_still_is_believed(bucket):
    answer, _ = called(Exchange(envelope({"status": "no_data"}, usOut=1)), bucket, heard_us=1)

    assert answer.us_out == 1


def test_a_machine_that_slept_in_mid_run_believes_the_exchange(bucket, monkeypatch):
    """The clock that counts seconds does not count those."""
    now = 1_760_000_000_000_000
    moments = iter([0.0])
    monkeypatch.setattr("time.time", lambda: next(moments, 8 * 3_600.0))
    late = envelope({"status": "no_data"}, usOut=now + 8 * 3_600_000_000)

    answer, staged = called(Exchange(late), bucket, heard_us=now)

    assert (answer.outcome, len(staged)) == ("ok", 1)
