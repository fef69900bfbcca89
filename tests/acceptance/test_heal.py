"""heal looks again at what is due; sooner, and at what is settled, where it is told to."""

import pytest

from lake.ledger import records
from lake.paths import Lake
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange.relay import relaying
from tests.exchange.running import running

NOTHING = {name: [] for name in ("ticks", "open", "high", "low", "close", "volume", "cost")}


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as healthy:
        yield healthy


def requests(done):
    return next(int(line.split()[0]) for line in done.stdout.splitlines() if "requests in" in line)


def test_what_waits_for_a_later_look_is_looked_at_now_if_the_user_says_so(tmp_path, exchange):
    window = ("--instruments", "BTC-PERPETUAL", "--start", "2025-10-01", "--end", "2025-10-02")

    def silent(answer):
        return answer.with_result(NOTHING) if "chart" in answer.method else answer

    with relaying(exchange.url, silent) as url:
        first = InProcess(Product(tmp_path / "lake", url)).run("backfill", "perpetuals", *window)
    product = InProcess(Product(tmp_path / "lake", exchange.url))
    waits, now = product.run("heal"), product.run("heal", "--now")

    assert (first.returncode, waits.returncode, now.returncode) == (3, 3, 0)
    assert requests(waits) == 1  # the list of instruments
    assert requests(now) > 1


def test_what_is_settled_is_looked_at_again_if_the_user_names_its_reason(tmp_path, exchange):
    product = InProcess(Product(tmp_path / "lake", exchange.url))
    window = ("--instruments", "BTC-PERPETUAL", "--start", "2020-08-27", "--end", "2020-08-28")

    held = product.run("backfill", "perpetuals", *window)
    done, again = product.run("heal"), product.run("heal", "--again", "absent,outage")

    ((_, record),) = records(Lake(product.lake), "perpetuals_ohlcv")
    assert [gap.reason for gap in record.gaps] == ["outage"]
    assert (held.returncode, done.returncode, again.returncode) == (0, 0, 0)
    assert (requests(done), requests(again)) == (1, 2)


@pytest.mark.parametrize("reasons", ["quarantined", "absent,nothing", ","])
def test_a_reason_no_answer_settles_is_one_line(tmp_path, exchange, reasons):
    done = InProcess(Product(tmp_path / "lake", exchange.url)).run("heal", "--again", reasons)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "--again" in done.stderr
