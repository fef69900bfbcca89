import json
import socket
import threading

import pytest

from etl.collect.health.asking import ask, told
from etl.config import Collect
from etl.errors import UsageError
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.etl.collect.health.boards import fresh, troubled
from tests.etl.collect.health.serving import served


def status(tmp_path, address, *words):
    settings = (("DERIBIT_LAKE_COLLECT__LISTEN", address),)
    product = Product(tmp_path / "lake", "http://127.0.0.1:9", settings)
    return InProcess(product).run("status", "--live", *words)


def test_a_collector_all_is_well_with_is_exit_code_0(tmp_path):
    with served(fresh()) as (address, _):
        done = status(tmp_path, address)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (0, "verdict: FRESH")
    assert lines[0].split() == [
        "kind", "oldest", "is", "median", "limit", "sources", "stale", "messages/s",
    ]  # fmt: skip
    assert lines[1].split("  ")[0] == "candles"


def test_what_rings_is_told_and_is_exit_code_3(tmp_path):
    with served(troubled()) as (address, _):
        done = status(tmp_path, address)
    alarms = [line for line in done.stdout.splitlines() if line.startswith("alarm ")]
    assert done.returncode == 3
    assert len(alarms) == 2
    assert alarms[0].startswith("alarm socket 2, rung 2025-10-18T07:30:00Z: 6 of 7 sources")
    assert done.stdout.endswith("verdict: ALARM\n")


def test_nobody_who_answers_is_one_line_and_exit_code_4(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one:
        address = f"127.0.0.1:{one.getsockname()[1]}"
    done = status(tmp_path, address)
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout == f"no collector answers at http://{address}: Connection refused\n"


def test_json_is_the_whole_board_or_why_there_is_none(tmp_path):
    with served(troubled()) as (address, _):
        found = status(tmp_path, address, "--json")
    nobody = status(tmp_path, address, "--json")
    assert (found.returncode, json.loads(found.stdout)["verdict"]) == (3, "alarm")
    assert len(json.loads(found.stdout)["sources"]) == 20
    assert (nobody.returncode, json.loads(nobody.stdout)["verdict"]) == (4, "unknown")


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\n\r\n{}", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\n3"]
)
def test_something_else_that_answers_is_no_collector(said):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer():
            line, _ = other.accept()
            with line:
                line.recv(10_000)
                line.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        found = ask(Collect(listen=f"127.0.0.1:{other.getsockname()[1]}"))
        thread.join()
    assert found.overview is None
    assert told(found).endswith("something else answers there")


def test_a_collector_that_listens_everywhere_is_asked_on_loopback():
    with served(fresh()) as (address, _):
        found = ask(Collect(listen=address.replace("127.0.0.1", "0.0.0.0")))  # noqa: S104
    assert found.is_fresh
    assert found.address == f"http://{address}"


def test_a_collector_without_a_page_cannot_be_asked():
    with pytest.raises(
        UsageError, match=r"collect\.listen = '': a collector is asked at host:port"
    ):
        ask(Collect(listen=""))
