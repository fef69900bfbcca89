import httpx

from tests.exchange.relay import relaying
from tests.exchange.running import running

TIME = "/api/v2/public/get_time"


def test_a_relay_alters_one_member_of_one_answer():
    def second_is_late(answer):
        return answer.altered("usOut", 0) if answer.number == 1 else answer

    with running(limits=False) as exchange, relaying(exchange.url, second_is_late) as url:
        answers = [httpx.get(f"{url}{TIME}", trust_env=False).json() for _ in range(3)]

    assert [answer["usOut"] == 0 for answer in answers] == [False, True, False]
    assert len({answer["result"] for answer in answers}) == 1


def test_a_relay_hands_on_refusals_with_their_status():
    with running(limits=False) as exchange, relaying(exchange.url, lambda answer: answer) as url:
        refused = httpx.get(f"{url}/api/v2/public/nothing", trust_env=False)

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32601)
