"""A lake in a bucket is loaded, compared and reported as the same lake on a disk is."""

import json

import pytest

from etl.database.connection import connect, fetch
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.etl.backup.lakes import filled
from tests.objects.copies import NOBODY, PREFIX, copied, in_bucket
from tests.objects.server import READER
from tests.objects.wire import wired

CLEAN = "clean/perpetuals_ohlcv/BTC-PERPETUAL/2024.parquet"
LINES = 4
FILES = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("disk") / "lake").root


@pytest.fixture(scope="module")
def bucket(object_server, root):
    return copied(object_server, root)


@pytest.fixture
def wire(object_server):
    with wired(object_server.port) as wire:
        yield wire


def there(bucket, folder, address, database, **told):
    return InProcess(in_bucket(bucket, folder, address, DERIBIT_LAKE_DSN=database.dsn, **told))


def here(root, database):
    return InProcess(Product(root, NOBODY, (("DERIBIT_LAKE_DSN", database.dsn),)))


def rows(database):
    with connect(database) as connection:
        return fetch(connection, "SELECT * FROM public.perpetuals_ohlcv ORDER BY 1, 2")


def test_a_lake_in_a_bucket_is_loaded_and_is_what_it_was(root, bucket, wire, tmp_path, database):
    product = there(bucket, tmp_path, wire.address, database)

    done = product.run("load", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["inserted"] >= 20
    assert wire.counted("/ledger/") == {"GET": LINES}
    assert wire.counted("/clean/") + wire.counted("/derived/") == {"GET": FILES}
    assert wire.counted()["LIST"] == 3
    assert "HEAD" not in wire.counted()
    loaded = rows(database)
    assert len(loaded) == 20
    disk = here(root, database)
    for one in (product, disk):
        compared = one.run("verify-db")
        assert (compared.returncode, compared.stderr) == (0, "")
    again = json.loads(disk.run("load", "--json").stdout)
    assert (again["inserted"], again["months_loaded"]) == (0, 0)
    assert rows(database) == loaded


def test_what_is_loaded_is_not_read_again(bucket, wire, tmp_path, database):
    product = there(bucket, tmp_path, wire.address, database)
    assert product.run("load").returncode == 0
    wire.requests.clear()
    assert product.run("load").returncode == 0
    assert wire.counted() == {"GET": LINES + 2, "LIST": 3}  # the marker, as who may bring it up


def test_a_row_that_was_changed_is_found(bucket, wire, tmp_path, database):
    product = there(bucket, tmp_path, wire.address, database)
    assert product.run("load").returncode == 0
    with connect(database, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE perpetuals_ohlcv SET close = close + 1 WHERE volume > 0")
    found = product.run("verify-db")
    assert found.returncode == 1
    assert "BTC-PERPETUAL" in found.stdout


def test_an_object_that_is_not_what_its_line_says_is_not_loaded(
    object_server, root, tmp_path, database
):
    bucket = copied(object_server, root)
    other = object_server.read(bucket, f"{PREFIX}/{CLEAN.replace('BTC', 'ETH')}")
    object_server.overwrite(bucket, f"{PREFIX}/{CLEAN}", other)
    done = there(bucket, tmp_path, object_server.s3, database).run("load")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{CLEAN} is not what its ledger says" in done.stderr


def test_an_object_that_is_gone_is_not_loaded(object_server, root, tmp_path, database):
    bucket = copied(object_server, root)
    object_server.delete(bucket, f"{PREFIX}/{CLEAN}")
    done = there(bucket, tmp_path, object_server.s3, database).run("load")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{CLEAN} is gone: run `deribit-lake replay`" in done.stderr


def test_an_object_no_line_vouches_for_is_named(object_server, root, tmp_path, database):
    bucket = copied(object_server, root)
    object_server.delete(bucket, f"{PREFIX}/{CLEAN.replace('clean', 'ledger')[:-7]}json")
    done = there(bucket, tmp_path, object_server.s3, database).run("load")
    assert done.returncode == 0
    assert f"{CLEAN} has no line in the ledger and is not loaded" in done.stdout


def test_keys_that_only_read_are_enough_to_load(object_server, bucket, tmp_path, database):
    product = there(bucket, tmp_path, object_server.s3, database, **READER)
    for words in (("load",), ("verify-db",), ("quality", "--from", "db", "--out", tmp_path / "q")):
        done = product.run(*words)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_quality_of_the_database_is_the_same(root, bucket, wire, tmp_path, database):
    disk, product = here(root, database), there(bucket, tmp_path, wire.address, database)
    assert product.run("load").returncode == 0
    told = [
        one.run("quality", "--from", "db", "--json", "--out", tmp_path / "q").stdout
        for one in (disk, product)
    ]
    assert told[0] == told[1]
    assert json.loads(told[0])["ok"]


def test_doctor_knows_what_of_a_bucket_was_loaded(bucket, object_server, tmp_path, database):
    product = there(bucket, tmp_path, object_server.s3, database)
    behind = json.loads(product.run("doctor", "--json").stdout)["findings"]
    assert [one["what"][:24] for one in behind if one["code"] == "database.behind"] == [
        "4 of 4 files of the lake"
    ]
    assert product.run("load").returncode == 0
    found = json.loads(product.run("doctor", "--json").stdout)["findings"]
    told = [one["what"] for one in found if one["code"] == "loaded"]
    assert told == ["all 4 files of the lake are in the database"]
