"""What looks at a lake says of one in a bucket what it says of the same lake on a disk."""

import json

import pytest

from lake.arrow import arrow
from lake.partition import Partition
from lake.paths import open_lake
from lake.write import publish_table
from tests import greek_tickers, surfaces
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.etl.backup.lakes import filled
from tests.etl.check.test_greeks import FIRST_MS
from tests.etl.check.test_surface import AT, shaped, trade
from tests.objects.copies import NOBODY, PREFIX, copied, in_bucket
from tests.objects.server import READER, STRANGER
from tests.objects.wire import wired
from validators.schemas.option_iv import OptionIv

CLEAN = "clean/perpetuals_ohlcv/BTC-PERPETUAL/2024.parquet"
PARTITIONS = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = filled(tmp_path_factory.mktemp("disk") / "lake").root
    for lock in root.rglob("*.lock"):
        lock.unlink()
    return root


@pytest.fixture(scope="module")
def priced(tmp_path_factory):
    """A lake with a surface, and a day of tickers."""
    lake = open_lake(tmp_path_factory.mktemp("priced") / "lake", create=True)
    greek_tickers.publish(lake, "BTC", FIRST_MS, days=1, every_hours=24)
    publish_table(
        arrow(surfaces.slices(at=AT)), lake.derived(Partition("vol_slices", "BTC", "2025-10"))
    )
    vols = shaped([trade(59), trade(30), trade(10)], OptionIv)
    publish_table(arrow(vols), lake.derived(Partition("option_iv", "BTC", "2025-10")))
    return lake.root


@pytest.fixture(scope="module")
def bucket(object_server, root):
    return copied(object_server, root)


@pytest.fixture
def wire(object_server):
    with wired(object_server.port) as wire:
        yield wire


def both(root, bucket, wire, folder):
    """Return what runs a command on a lake and on its copy: what it said, without their names."""
    here = InProcess(Product(root, NOBODY))
    there = InProcess(in_bucket(bucket, folder, wire.address))

    def run(*words):
        wire.requests.clear()
        for product, name in ((here, root), (there, f"s3://{bucket}/{PREFIX}")):
            done = product.run(*words)
            yield done.returncode, (done.stdout + done.stderr).replace(str(name), "LAKE")

    return run


@pytest.mark.parametrize(
    "words", [(), ("--dataset", "perpetuals_ohlcv"), ("--dataset", "index_prices")]
)
def test_the_status_is_the_same(root, bucket, wire, tmp_path, words):
    one, other = both(root, bucket, wire, tmp_path)("status", "--json", *words)
    assert one == other
    assert json.loads(other[1])["verdict"] == "COMPLETE"


def test_a_status_takes_a_request_for_each_line_and_a_few_listings(root, bucket, wire, tmp_path):
    list(both(root, bucket, wire, tmp_path)("status"))
    assert wire.counted("/ledger/") == {"GET": PARTITIONS}
    assert wire.counted().keys() == {"GET", "LIST"}
    assert wire.counted()["GET"] <= PARTITIONS + 5  # the marker, and the lists of instruments
    assert wire.counted()["LIST"] <= 10  # ledger, clean, derived, and a method of raw each


def test_verify_reads_each_object_once(root, bucket, wire, tmp_path, object_server):
    one, other = both(root, bucket, wire, tmp_path)("verify")
    assert one == other == (0, "0 faults in LAKE\n")
    names = object_server.objects(bucket, PREFIX)
    tops = ("raw", "ledger", "clean", "derived", "live", "quarantine")
    read = [name for name in names if name.removeprefix(f"{PREFIX}/").startswith(tops)]
    asked = sorted(one.key.partition("/")[2] for one in wire.requests if one.kind == "GET")
    assert [one for one in asked if one != f"{PREFIX}/lake.json"] == read
    assert wire.counted()["LIST"] == len(tops)


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda _: b"", lambda _: b"x" * 99])
def test_a_damaged_object_is_set_aside(object_server, root, wire, tmp_path, damage):
    bucket = copied(object_server, root)
    data = damage(object_server.read(bucket, f"{PREFIX}/{CLEAN}"))
    object_server.overwrite(bucket, f"{PREFIX}/{CLEAN}", data)
    product = InProcess(in_bucket(bucket, tmp_path, wire.address))

    done = product.run("verify", "--quarantine")

    assert done.returncode == 1
    aside = f"{PREFIX}/quarantine/files/{CLEAN}.corrupt"
    assert f"; moved to s3://{bucket}/{aside}\n1 faults in" in done.stdout
    assert object_server.read(bucket, aside) == data
    names = object_server.objects(bucket)
    assert f"{PREFIX}/{CLEAN}" not in names
    status = product.run("status", "--dataset", "perpetuals_ohlcv")
    assert (status.returncode, "is gone: run replay" in status.stdout) == (4, True)


def test_an_object_that_is_gone_is_a_fault(object_server, root, wire, tmp_path):
    bucket = copied(object_server, root)
    object_server.delete(bucket, f"{PREFIX}/{CLEAN}")
    done = InProcess(in_bucket(bucket, tmp_path, wire.address)).run("verify")
    assert (done.returncode, done.stdout.count("content checksum None")) == (1, 1)


def test_quality_finds_the_same(root, bucket, wire, tmp_path):
    words = ("quality", "--json", "--out", tmp_path / "reports")
    one, other = both(root, bucket, wire, tmp_path)(*words)
    assert one == other
    assert json.loads(other[1])["table"] == "perpetuals_ohlcv"


def test_the_report_is_the_same_but_for_the_room_that_is_left(root, bucket, wire, tmp_path):
    page = tmp_path / "report.html"
    told = []
    for product in (Product(root, NOBODY), in_bucket(bucket, tmp_path, wire.address)):
        done = InProcess(product).run("report", "--out", page)
        assert (done.returncode, done.stderr) == (0, "")
        told.append(page.read_text())
    sizes = [text.partition('<section id="sizes">')[2].partition("</section>")[0] for text in told]
    assert sizes[0].count("<tr>") > 8
    assert sizes[0] == sizes[1]
    assert wire.counted()["LIST"] == 1
    assert "HEAD" not in wire.counted()


def test_greeks_of_a_bucket_are_those_of_a_disk(object_server, priced, wire, tmp_path):
    bucket = copied(object_server, priced)
    words = ("validate-greeks", "--json", "--out", tmp_path / "greeks")
    one, other = both(priced, bucket, wire, tmp_path)(*words)
    assert one == other
    assert json.loads(other[1])["rows"] > 1_000


def test_a_surface_of_a_bucket_is_that_of_a_disk(object_server, priced, wire, tmp_path):
    bucket = copied(object_server, priced)
    words = ("plot", "surface", "--currency", "BTC", "--at", "2025-10-16T12:00")
    pages = []
    for number, product in enumerate(
        (Product(priced, NOBODY), in_bucket(bucket, tmp_path, wire.address))
    ):
        page = tmp_path / f"{number}.html"
        done = InProcess(product).run(*words, "--out", page)
        assert (done.returncode, done.stderr) == (0, "")
        pages.append(page.read_text())
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("verify",),
        ("quality", "--out", "{folder}"),
        ("report", "--out", "{folder}/page.html"),
    ],
)
def test_keys_that_only_read_are_enough_to_look(object_server, bucket, tmp_path, words):
    product = InProcess(in_bucket(bucket, tmp_path, object_server.s3, **READER))
    done = product.run(*(word.format(folder=tmp_path / "out") for word in words))
    assert (done.returncode, done.stderr) == (0, "")


def test_keys_that_only_read_set_nothing_aside(object_server, root, tmp_path):
    bucket = copied(object_server, root)
    object_server.overwrite(bucket, f"{PREFIX}/{CLEAN}", b"x" * 99)
    product = InProcess(in_bucket(bucket, tmp_path, object_server.s3, **READER))
    done = product.run("verify", "--quarantine")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"s3://{bucket}/{PREFIX} refuses: AccessDenied; expected keys that may" in done.stderr
    assert object_server.read(bucket, f"{PREFIX}/{CLEAN}") == b"x" * 99


def test_keys_nobody_knows_are_refused_in_a_line_without_them(object_server, bucket, tmp_path):
    done = InProcess(in_bucket(bucket, tmp_path, object_server.s3, **STRANGER)).run("status")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "expected a valid AWS_ACCESS_KEY_ID" in done.stderr
    assert not any(secret in done.stderr for secret in STRANGER.values())


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (
            ("run",),
            "let the bucket keep versions or a replica, or `deribit-lake pull` it to a disk",
        ),
        (("verify",), "let the bucket keep versions or a replica, or `deribit-lake pull` it"),
        (("restore",), "give --to FOLDER; `deribit-lake push` brings it to a bucket"),
    ],
)
def test_a_bucket_is_backed_up_otherwise(tmp_path, words, cure):
    told = {"DERIBIT_LAKE_BACKUP__REPOSITORY": str(tmp_path / "repository")}
    done = InProcess(in_bucket("any", tmp_path, NOBODY, **told)).run("backup", *words)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"s3://any/{PREFIX} lies in a bucket" in done.stderr
    assert cure in done.stderr
    assert not (tmp_path / "repository").exists()
