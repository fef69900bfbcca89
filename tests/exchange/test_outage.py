import time

import httpx
import pytest

from tests.exchange.outage import FORMS, Outage
from tests.exchange.responses import AWAY, away
from tests.exchange.running import running


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_an_outage_begins_after_so_many_requests_and_lasts_so_long():
    clock = Clock()
    outage = Outage("html_503", after=2, seconds=10, clock=clock)

    before = [outage.meets() for _ in range(2)]
    clock.now = 100
    during = [outage.meets() for _ in range(3)]
    clock.now = 109.9
    during.append(outage.meets())
    clock.now = 110
    assert (before, during) == ([False] * 2, [True] * 4)
    assert not outage.meets()
    assert (outage.met, outage.moments) == (4, [0, 0, 0, 9.9])


def test_an_outage_may_end_after_so_many_requests_instead():
    outage = Outage("http_429_empty", requests=2)

    assert [outage.meets() for _ in range(4)] == [True, True, False, False]


@pytest.mark.parametrize("form", AWAY)
def test_each_form_has_its_status_and_says_when_to_come_back_if_told(form):
    told, silent = away(form, "soon"), away(form)

    assert told.status_code == AWAY[form][0]
    assert form == "error_11051" or str(told.status_code) in form
    assert (told.headers["retry-after"], "retry-after" in silent.headers) == ("soon", False)


def test_refused_connections_are_cut_and_taken_again_later():
    with running(limits=False, outage="refused", outage_after=1, outage_seconds=1) as exchange:
        url = f"{exchange.url}/api/v2/public/test"
        with httpx.Client(trust_env=False) as client:
            assert client.get(url).status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                client.get(url)
            with pytest.raises(httpx.ConnectError):
                client.get(url)
            time.sleep(1.2)
            assert client.get(url).status_code == 200
        assert exchange.stats()["outage"]["met"] == 1


def test_a_dripping_answer_sends_its_head_and_little_more():
    with (
        running(limits=False, outage="drip") as exchange,
        httpx.Client(trust_env=False, timeout=1) as client,
        client.stream("GET", f"{exchange.url}/api/v2/public/get_time") as answer,
    ):
        with pytest.raises(httpx.ReadTimeout):
            answer.read()
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) > 50


def test_the_forms_are_known_by_name():
    assert {"html_502", "html_503", "html_405", "error_11051", "refused", "drip"} < set(FORMS)
