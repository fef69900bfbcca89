import asyncio
import re
import socket

import httpx
import msgspec
import pytest

from etl.collect.board import Board
from etl.collect.health.rates import Rates
from etl.collect.health.server import application, listen, serve
from etl.config import Collect
from etl.errors import UsageError
from tests.etl.collect.health.boards import NOW, fresh, troubled

PATHS = ("/", "/healthz", "/metrics", "/status.json")


def asked(board, *requests, any_host=False):
    """Return the answers of a real server to some requests: method, path, headers."""

    async def ask():
        opened = listen(Collect(listen="127.0.0.1:0"))
        url = f"http://127.0.0.1:{opened.getsockname()[1]}"
        told = application(board, Rates(board), lambda: NOW, any_host=any_host)
        serving = asyncio.create_task(serve(told, opened))
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            answers = [
                await client.request(method, path, headers=headers)
                for method, path, headers in requests
            ]
        serving.cancel()
        await serving
        assert opened.fileno() == -1
        return answers

    return asyncio.run(ask())


def get(board, path):
    (answer,) = asked(board, ("GET", path, {}))
    return answer


def test_all_is_well_is_status_200():
    answer = get(fresh(), "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "reasons": []})
    assert answer.headers["content-type"] == "application/json"


def test_what_rings_is_status_503_with_the_reasons():
    answer = get(troubled(), "/healthz")
    assert answer.status_code == 503
    assert [reason.partition(":")[0] for reason in answer.json()["reasons"]] == [
        "socket 2",
        "database",
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_draining": True}, "stopping"),
        ({"looked_ms": NOW - 10_001}, "nobody looks at the ages of data"),
        ({"sources": {}}, "starting: not every kind of data has come yet"),
    ],
)
def test_not_watching_starting_and_stopping_are_not_well(change, reason):
    board = fresh()
    for name, value in change.items():
        setattr(board, name, value)
    answer = get(board, "/healthz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, [reason])


def test_the_whole_board_is_json():
    told = get(troubled(), "/status.json").json()
    assert told["verdict"] == "alarm"
    assert [alarm["name"] for alarm in told["alarms"]] == ["socket 2", "database"]
    assert {kind["kind"]: kind["stale"] for kind in told["kinds"]} == {
        "candles": 2, "dvol": 1, "funding": 1, "index": 1, "quotes": 0, "tickers": 1, "trades": 0,
    }  # fmt: skip
    assert told["gaps"][0]["reason"] == "nothing heard for 35 s"
    assert told["database"]["behind_ms"] == 700_000
    assert len(told["sources"]) == 20
    assert msgspec.json.decode(msgspec.json.encode(told)) == told


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_but_get_is_answered(method, path):
    (answer,) = asked(fresh(), (method, path, {}))
    assert answer.status_code == 405


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
def test_answers_are_not_kept_not_guessed_at_and_may_load_nothing(path):
    headers = get(fresh(), path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in headers["content-security-policy"]
    assert "server" not in headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8642", 200),
        ("LocalHost", 200),
        ("[::1]:8642", 200),
        ("127.9.9.9:1", 200),
        ("deribit.example", 421),
        ("127.0.0.1.example:8642", 421),
        ("localhost.example", 421),
        ("10.0.0.1:8642", 421),
        ("[2001:db8::1]:8642", 421),
        ("", 421),
    ],
)
@pytest.mark.parametrize("path", ["/", "/status.json"])
def test_only_requests_that_name_loopback_are_answered(host, status, path):
    (answer,) = asked(fresh(), ("GET", path, {"Host": host}))
    assert answer.status_code == status


def test_who_lets_others_see_the_page_answers_any_name():
    (answer,) = asked(fresh(), ("GET", "/healthz", {"Host": "lake.example"}), any_host=True)
    assert answer.status_code == 200


def test_a_taken_port_is_said_before_anything_begins():
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(UsageError, match=re.escape(f"collect.listen = '{address}': something")):
            listen(Collect(listen=address))


@pytest.mark.parametrize("address", ["0.0.0.0:8642", "[::]:0", "192.168.1.5:80", "example.org:80"])
def test_what_is_not_loopback_is_refused(address):
    with pytest.raises(UsageError, match=r"is not on loopback: expected 127\.0\.0\.1:8642"):
        listen(Collect(listen=address))


@pytest.mark.parametrize(
    "address", ["8642", ":8642", "127.0.0.1", "127.0.0.1:x", "localhost:99999"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UsageError, match=f"'{address}' is no address: expected host:port"):
        listen(Collect(listen=address))


def test_beyond_loopback_is_listened_on_when_settings_say_so():
    opened = listen(Collect(listen="0.0.0.0:0", listen_beyond_loopback=True))
    assert opened.getsockname()[0] == "0.0.0.0"  # noqa: S104  what is tested
    opened.close()


def test_no_address_is_no_page():
    assert listen(Collect(listen="")) is None


def test_a_collector_of_which_nothing_is_known_has_a_page():
    told = get(Board(NOW), "/").text
    assert "Nobody looks at the ages of data" in told
    assert "Nothing is asked for yet." in told


def test_a_client_that_keeps_its_connection_does_not_hold_up_the_end():
    async def linger():
        opened = listen(Collect(listen="127.0.0.1:0"))
        board = fresh()
        told = application(board, Rates(board), lambda: NOW)
        serving = asyncio.create_task(serve(told, opened))
        await asyncio.sleep(0)
        _, writer = await asyncio.open_connection(*opened.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        serving.cancel()
        await asyncio.wait_for(serving, 5)
        writer.close()
        return serving

    assert asyncio.run(linger()).done()
