"""What is derived is proved like what is fetched: the faults that once read COMPLETE."""

import json
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lake.ledger import read_record
from lake.partition import Partition
from lake.paths import Lake
from lake.raw import stage
from tests.acceptance.command import Product, digests
from tests.acceptance.in_process import InProcess
from tests.etl.staged import attempt, chart, minutes
from tests.exchange.running import running

SPAN = ("--start", "2025-09-25", "--end", "2025-09-27")
LATER = ("--start", "2025-09-25", "--end", "2025-09-29")
OPTION = "BTC-29MAR24-50000-C"


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False, options_since="2025-06-01") as running_exchange:
        yield running_exchange


@pytest.fixture(scope="module")
def made(tmp_path_factory, exchange):
    """A lake of two days with everything there is to compute."""
    product = InProcess(Product(tmp_path_factory.mktemp("made") / "lake", exchange.url))
    for words in (
        ("backfill", "perpetuals", "--instruments", "BTC-PERPETUAL", *SPAN),
        ("backfill", "futures", "--currency", "BTC", *SPAN),
        ("backfill", "index", "--index", "btc_usd", *SPAN),
        ("compute", "basis"),
    ):
        done = product.run(*words)
        assert done.returncode == 0, (words, done.stderr)
    return product


@pytest.fixture
def product(made, tmp_path):
    shutil.copytree(made.lake, tmp_path / "lake")
    return InProcess(Product(tmp_path / "lake", made.product.host))


def statuses(product, *options):
    done = product.run("status", "--json", *options)
    found = json.loads(done.stdout)["instruments"]
    return done.returncode, {(one["dataset"], one["instrument"]): one for one in found}


def the_basis(product):
    (path,) = (product.lake / "derived" / "futures_basis").glob("*/*.parquet")
    return path


def test_everything_is_listed_and_complete(product):
    code, found = statuses(product)

    assert code == 0
    assert {dataset for dataset, _ in found} == {
        "perpetuals_ohlcv", "futures_ohlcv", "funding_rates", "index_prices", "futures_basis",
        "futures_curve",
    }  # fmt: skip
    assert found["futures_basis", "BTC"]["rows"] > 0


def test_a_changed_value_of_what_is_computed_is_found_and_made_again(product):
    path, before = the_basis(product), digests(product.lake, "derived")
    rows = pq.read_table(path)
    place = rows.schema.get_field_index("basis")
    changed = rows["basis"].to_pylist()
    first = next(row for row, value in enumerate(changed) if value is not None)
    changed[first] += 1000
    pq.write_table(rows.set_column(place, "basis", pa.array(changed)), path)

    found = product.run("verify")
    rebuilt = product.run("replay", "--dataset", "futures_basis")

    assert found.returncode == 1
    assert f"{path}: content checksum" in found.stdout
    assert rebuilt.returncode == 0
    assert digests(product.lake, "derived") == before


def test_every_value_of_a_month_moved_is_found_too(product):
    path = the_basis(product)
    rows = pq.read_table(path)
    place = rows.schema.get_field_index("basis")
    pq.write_table(rows.set_column(place, "basis", pc.add(rows["basis"], 1000.0)), path)

    assert product.run("verify", "--dataset", "futures_basis").returncode == 1


def test_funding_that_came_without_its_index_prices_makes_them_unknown(product):
    """As a kill leaves it between the two steps of one command."""
    kept = [product.lake / top / "index_prices" for top in ("derived", "ledger")]
    for path in kept:
        shutil.copytree(path, product.lake.parent / "kept" / path.parent.name)
    product.run("backfill", "index", "--index", "btc_usd", *LATER)
    for path in kept:
        shutil.rmtree(path)
        shutil.copytree(product.lake.parent / "kept" / path.parent.name, path)

    code, found = statuses(product)
    index = found["index_prices", "btc_usd"]
    made = product.run("compute", "index_prices")

    assert (code, index["verdict"]) == (4, "UNKNOWN")
    assert "run `deribit-lake compute index_prices`" in index["why"]
    assert found["funding_rates", "BTC-PERPETUAL"]["verdict"] == "COMPLETE"
    assert made.returncode == 0
    assert statuses(product, "--dataset", "index_prices")[0] == 0


def test_index_prices_that_were_never_made_are_unknown(product):
    for top in ("derived", "ledger"):
        shutil.rmtree(product.lake / top / "index_prices")

    _, found = statuses(product, "--dataset", "index_prices")

    assert found["index_prices", "btc_usd"]["verdict"] == "UNKNOWN"
    assert "2025 is not computed yet" in found["index_prices", "btc_usd"]["why"]


def test_newer_candles_make_the_basis_unknown_and_what_is_made_from_it(product):
    product.run("backfill", "perpetuals", "--instruments", "BTC-PERPETUAL", *LATER)

    code, found = statuses(product)
    why = {dataset: one["why"] for (dataset, _), one in found.items()}
    product.run("compute", "basis")

    assert code == 4
    assert why["futures_basis"].startswith(
        "perpetuals_ohlcv BTC-PERPETUAL 2025 is newer than 2025-09"
    )
    assert "run `deribit-lake compute futures_basis`" in why["futures_basis"]
    assert why["futures_curve"].startswith("futures_basis BTC 2025-09 is UNKNOWN")
    assert statuses(product)[0] == 0


def test_what_was_told_otherwise_is_computed_again_and_known_to_be(product):
    again = product.run("compute", "basis", "--tolerance", "5", "--json")
    record = read_record(Lake(product.lake), Partition("futures_basis", "BTC", "2025-09"))

    assert json.loads(again.stdout)["computed"] == 2
    assert record.options == {"tolerance": 5.0}
    assert statuses(product)[0] == 0


def test_a_line_names_what_its_partition_was_made_from(product):
    lake = Lake(product.lake)
    record = read_record(lake, Partition("futures_basis", "BTC", "2025-09"))

    assert {one.dataset for one in record.inputs} == {
        "futures_ohlcv", "perpetuals_ohlcv", "index_prices",
    }  # fmt: skip
    for one in record.inputs:
        assert read_record(lake, one.partition).checksum == one.checksum


def test_a_derived_file_without_a_line_is_unknown_found_and_not_loaded(product):
    stray = the_basis(product).with_name("2025-10.parquet")
    shutil.copy(the_basis(product), stray)

    code, found = statuses(product)
    verified = product.run("verify")

    assert (code, found["futures_basis", "BTC"]["verdict"]) == (4, "UNKNOWN")
    assert f"{stray} has no ledger" in found["futures_basis", "BTC"]["why"]
    assert verified.returncode == 1
    assert f"{stray}: no ledger vouches for it" in verified.stdout


def test_an_input_that_vanishes_is_one_line_and_nothing_is_half_written(product):
    before = digests(product.lake, "derived")
    (product.lake / "clean" / "perpetuals_ohlcv" / "BTC-PERPETUAL" / "2025.parquet").unlink()

    done = product.run("compute", "basis", "--tolerance", "5")
    told = [line for line in done.stderr.splitlines() if line.startswith("error")]

    assert done.returncode == 1
    assert len(told) == 1
    assert "BTC-PERPETUAL/2025.parquet is gone: run `deribit-lake replay --dataset" in told[0]
    assert digests(product.lake, "derived") == before
    assert not list(product.lake.glob("**/*.tmp"))


def test_a_ledger_of_a_newer_version_is_one_line(product):
    ledger = product.lake / "ledger" / "futures_basis" / "BTC" / "2025-09.json"
    ledger.write_text(ledger.read_text().replace('"format": 4', '"format": 5'))

    done = product.run("status")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "has format 5; this version reads up to 4: upgrade it"
    )


def test_the_raw_of_an_option_is_not_published_as_a_future(product):
    lake = Lake(product.lake)
    folder = lake.raw("get_tradingview_chart_data", instrument=OPTION, resolution="1", year="2024")
    stage([attempt(chart(minutes(*range(10))))], folder)

    replayed = product.run("replay", "--dataset", "futures_ohlcv")

    assert replayed.returncode == 0
    assert not (product.lake / "clean" / "futures_ohlcv" / OPTION).exists()
    assert [
        one for _, one in statuses(product, "--dataset", "futures_ohlcv")[1] if one == OPTION
    ] == []


@pytest.mark.parametrize("word", ["index", "index_prices", "basis", "instruments", "dvol"])
def test_every_command_takes_every_dataset_by_one_word(product, word):
    for command in ("status", "verify"):
        done = product.run(command, "--dataset", word)
        assert "no dataset" not in done.stderr
        assert done.returncode in {0, 4}


@pytest.mark.parametrize("command", ["status", "verify", "quality", "replay", "load", "heal"])
def test_a_wrong_word_is_answered_with_the_nearest(product, command):
    done = product.run(command, "--dataset", "futures_basi")

    assert done.returncode == 1
    assert done.stderr.startswith("error: no dataset 'futures_basi'; nearest: futures_basis")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("volatility_index", "backfill volatility_index"),
        ("instruments", "instruments refresh"),
        ("futures_ohlcv_60", "backfill futures_ohlcv_60"),
    ],
)
def test_a_query_for_what_is_not_held_says_what_to_run(product, name, maker):
    done = product.run("query", f"SELECT count(*) FROM {name}")

    assert done.returncode == 1
    assert done.stderr.endswith(f"holds nothing of {name} yet: run `deribit-lake {maker}`\n")


def test_one_and_two_workers_make_the_same_bytes(product, tmp_path):
    shutil.copytree(product.lake, tmp_path / "other")
    other = InProcess(Product(tmp_path / "other", product.product.host))
    for each, workers in ((product, "1"), (other, "2")):
        shutil.rmtree(each.lake / "derived")
        shutil.rmtree(each.lake / "clean")
        assert each.run("replay", "--workers", workers).returncode == 0

    assert digests(product.lake) == digests(other.lake)
    assert digests(product.lake, "derived") == digests(other.lake, "derived")
    assert len(digests(product.lake, "derived")) == 3


def test_a_part_may_be_named_where_no_dataset_is(product):
    done = product.run("compute", "--currency", "BTC", "--json")
    unknown = product.run("compute", "--currency", "DOGE")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unchanged"] == 2  # the basis and its curve
    assert unknown.returncode == 1
    assert unknown.stderr.splitlines()[-1] == "error: nothing that is computed is of DOGE"


def test_an_option_that_no_chosen_dataset_has_is_refused(product):
    done = product.run("compute", "index_prices", "--tolerance", "5")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: index_prices takes no --tolerance"
