"""Whatever an exchange does wrong, the lake ends up the same."""

import pytest

from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running

WINDOW = ("--start", "2025-06-01", "--end", "2025-10-18")


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    with running(limits=False) as exchange:
        product = InProcess(Product(tmp_path_factory.mktemp("healthy") / "lake", exchange.url))
        for what in ("perpetuals", "funding"):
            assert product.run("backfill", what, *WINDOW).returncode == 0
    return digests(product.lake)


@pytest.mark.slow
@pytest.mark.parametrize("fault_seed", [1, 2])
def test_all_faults_at_once_leave_the_clean_lake_byte_identical(tmp_path, healthy, fault_seed):
    with running(limits=False, faults="all", fault_seed=fault_seed) as exchange:
        quick = (("DERIBIT_LAKE_PROBE_SECONDS", "0.1"),)
        product = InProcess(Product(tmp_path / "lake", exchange.url, quick))
        for what in ("perpetuals", "funding"):
            product.run("backfill", what, *WINDOW)
        healed = product.run("heal")

        assert healed.returncode == 0, healed.stdout + healed.stderr
        assert sum(exchange.stats()["faults"].values()) > 20
    assert digests(product.lake) == healthy
