"""A release of the exchange an hour long, sped up 1,200 times: nobody is needed to get over it."""

import pytest

from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running

MINUTE_S = 0.05
HOUR = {"outage_seconds": 60 * MINUTE_S}
PATIENCE = (
    ("DERIBIT_LAKE_PROBE_SECONDS", str(MINUTE_S)),
    ("DERIBIT_LAKE_PATIENCE_MINUTES", str(75 * MINUTE_S / 60)),
)
BACKFILL = ("backfill", "perpetuals", "--start", "2025-08-15")


@pytest.mark.parametrize(
    ("form", "after"),
    [
        ("html_503", 0),
        ("refused", 12),
        pytest.param("html_502", 12, marks=pytest.mark.slow),
        pytest.param("error_11051", 1, marks=pytest.mark.slow),
    ],
)
def test_a_backfill_gets_over_an_hour_of_maintenance_by_itself(tmp_path, form, after):
    with running(latency_ms=20, outage=form, outage_after=after, **HOUR) as exchange:
        product = InProcess(Product(tmp_path / "lake", exchange.url, PATIENCE))
        done = product.run(*BACKFILL)
        met = exchange.stats()["outage"]["met"]

    assert done.returncode == 0, done.stderr
    assert "verdict: COMPLETE" in done.stdout
    assert 1 <= met <= 60
    assert done.stderr.count("is away since") == done.stderr.count("answers again after") == 1


@pytest.mark.slow
def test_so_do_the_lists_of_instruments(tmp_path):
    with running(limits=False, outage="html_405", outage_after=3, **HOUR) as exchange:
        product = InProcess(Product(tmp_path / "lake", exchange.url, PATIENCE))
        done = product.run("instruments", "refresh", "--currency", "ETH")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("is away since") == 1


def test_answers_that_drip_and_429_of_any_body_are_got_over_too(tmp_path):
    settings = (("DERIBIT_LAKE_ANSWER_SECONDS", "0.5"),)
    with running(limits=False, faults="drip,http_429", fault_seed=3) as exchange:
        done = InProcess(Product(tmp_path / "lake", exchange.url, settings)).run(*BACKFILL)
        faults = exchange.stats()["faults"]

    assert done.returncode == 0, done.stderr
    assert min(faults["drip"], faults["http_429"]) >= 2


def test_a_ping_says_soon_that_nobody_is_there(tmp_path):
    with running(limits=False, outage="html_503") as exchange:
        done = InProcess(Product(tmp_path, exchange.url)).run("ping")

    assert done.returncode == 1
    told = "public/test: HTTP 503 with an HTML page titled '503 Service Temporarily Unavailable'"
    assert done.stderr.splitlines()[-1] == f"error: {told}"
