"""A lake of format 1 is brought to this version's by the first command that writes."""

import json
import random
import shutil
import signal
import time

import msgspec
import pytest

from lake.ledger import records, write_record
from lake.paths import FORMAT, MARKER, Lake
from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.acceptance.test_provenance import SPAN
from tests.exchange.running import running


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as running_exchange:
        yield running_exchange


@pytest.fixture(scope="module")
def new(tmp_path_factory, exchange):
    """A lake of this version with something of everything."""
    product = InProcess(Product(tmp_path_factory.mktemp("new") / "lake", exchange.url))
    for words in (
        ("backfill", "perpetuals", *SPAN),
        ("backfill", "futures", *SPAN),
        ("backfill", "index", *SPAN),
        ("compute", "basis"),
        ("instruments", "rebuild"),
    ):
        done = product.run(*words)
        assert done.returncode == 0, (words, done.stderr)
    return product


def as_format_1(lake):
    """Lay a lake out as version f131bef left it: no line for what is computed, other places."""
    for partition, record in list(records(lake)):
        if partition.dataset == "index_prices":
            old = msgspec.structs.replace(record, inputs=None, version=0, terms="", format=1)
            write_record(lake, partition, old)
            lake.clean(partition).parent.mkdir(parents=True, exist_ok=True)
            lake.derived(partition).rename(lake.clean(partition))
        elif record.inputs is not None or partition.dataset == "instruments":
            lake.ledger(partition).unlink()
    universe = lake.root / "derived" / "instruments" / "all" / "universe.parquet"
    universe.parent.mkdir(parents=True)
    (lake.root / "clean" / "instruments" / "all" / "all.parquet").rename(universe)
    shutil.rmtree(lake.root / "clean" / "instruments")
    (lake.root / MARKER).write_text('{"format": 1}')


@pytest.fixture
def old(new, tmp_path):
    shutil.copytree(new.lake, tmp_path / "lake")
    as_format_1(Lake(tmp_path / "lake"))
    return InProcess(Product(tmp_path / "lake", new.product.host))


def published(product):
    return digests(product.lake) | digests(product.lake, "derived")


def test_it_is_read_and_what_has_no_line_is_not_vouched_for(old):
    done = old.run("status", "--json")
    found = {one["dataset"]: one for one in json.loads(done.stdout)["instruments"]}
    counted = old.run("query", "SELECT count(*) AS n FROM futures_basis", "--format", "json")

    assert (old.lake / MARKER).read_text() == '{"format": 1}'
    assert found["perpetuals_ohlcv"]["verdict"] == "COMPLETE"
    for name in ("index_prices", "futures_basis", "futures_curve"):
        assert f"run `deribit-lake compute {name}`" in found[name]["why"]
    assert json.loads(counted.stdout)[0]["n"] > 0
    assert old.run("instruments", "show").returncode == 0


@pytest.mark.parametrize(
    "words", [("backfill", "perpetuals", *SPAN), ("heal",), ("compute",), ("replay",)], ids=" ".join
)
def test_the_first_writing_command_brings_it_up_in_one_line(new, old, words):
    first, again = old.run(*words), old.run("compute")

    told = [line for line in first.stderr.splitlines() if "is of format" in line]
    assert first.returncode == 0, first.stderr
    assert len(told) == 1
    assert told[0].endswith(f"is of format {FORMAT} now (it was 1): 7 ledger lines are new")
    assert published(old) == published(new)
    assert old.run("status").returncode == old.run("verify").returncode == 0
    assert "is of format" not in again.stderr
    assert not (old.lake / "clean" / "index_prices").exists() or not list(
        (old.lake / "clean" / "index_prices").glob("*/*.parquet")
    )


@pytest.mark.slow
def test_killed_at_any_moment_the_rerun_ends_right(new, old):
    moments = random.Random(5)  # noqa: S311  (moments, not secrets)
    for _ in range(6):
        process = old.product.start("compute", "--workers", "1")
        time.sleep(moments.uniform(0.5, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        clean = {path for path in digests(old.lake) if "ohlcv" in path}
        assert clean == {path for path in digests(new.lake) if "ohlcv" in path}

    assert old.run("compute").returncode == 0
    assert published(old) == published(new)
    assert old.run("status").returncode == old.run("verify").returncode == 0


def test_the_place_of_the_old_list_of_instruments_is_gone(old):
    old.run("compute")

    assert not (old.lake / "derived" / "instruments").exists()


def test_what_fails_half_way_leaves_the_old_format_and_the_rerun_ends_right(new, old):
    segment = next((old.lake / "raw" / "get_instruments").glob("**/*.parquet"))
    whole = segment.read_bytes()
    segment.write_bytes(b"torn")
    failed = old.run("compute")
    told = (old.lake / MARKER).read_text()
    segment.write_bytes(whole)

    assert (failed.returncode, told) == (1, '{"format": 1}')
    assert old.run("compute").returncode == 0
    assert published(old) == published(new)
