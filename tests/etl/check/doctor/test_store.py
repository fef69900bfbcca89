"""What doctor says of a lake in a bucket, and of the folder of this machine for it."""

import json
import socket

import msgspec
import pytest

from lake.lock import locked_file
from lake.operations import Outcome
from lake.store.holders import owner_of
from lake.store.lease import Owner
from lake.store.place import place_of
from tests.acceptance.doctored import Told
from tests.acceptance.in_process import InProcess
from tests.etl.backup.lakes import filled
from tests.objects.copies import PREFIX, copied, in_bucket
from tests.objects.heedless import CREATES, REPLACES, heedless
from tests.objects.server import KEYS, READER, STRANGER
from tests.objects.wire import wired

LOCK = f"{PREFIX}/locks/perpetuals_ohlcv/BTC-PERPETUAL/2024.lock"
OWN = ("store", "lake", "work", "integrity", "verdict", "operations", "collector", "check")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("disk") / "lake").root


@pytest.fixture(scope="module")
def bucket(object_server, root):
    return copied(object_server, root)


def doctor(product, *words):
    """Return what doctor says of the lake and its store; of the exchange there is none."""
    done = InProcess(product).run("doctor", "--json", *words)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    report["findings"] = [one for one in report["findings"] if one["code"].partition(".")[0] in OWN]
    is_faulty = any(one["level"] == "fault" for one in report["findings"])
    report["verdict"] = "faulty" if is_faulty else "healthy"
    return Told(report, int(is_faulty))


def test_a_lake_in_a_bucket_that_is_well(object_server, bucket, tmp_path):
    before = object_server.objects(bucket)
    told = doctor(in_bucket(bucket, tmp_path, object_server.s3))
    assert told.troubles == {}
    address = f"s3://{bucket}/{PREFIX}"
    assert told.all_of("lake") == [f"{address} has format 4"]
    assert told.all_of("store") == [
        f"{address} answers, and refuses puts whose condition does not hold"
    ]
    assert told.all_of("integrity")[0].startswith("4 files are there and whole")
    assert told.all_of("verdict") == ["4 of 4 parts are COMPLETE, 27 rows"]
    assert told.all_of("work")[0].startswith(str(tmp_path / "work" / bucket))
    assert object_server.objects(bucket) == before


def test_deep_reads_every_object(object_server, bucket, tmp_path):
    told = doctor(in_bucket(bucket, tmp_path, object_server.s3), "--deep")
    assert told.all_of("integrity") == ["every byte was read, and is what the ledger says"]


def test_offline_asks_no_store(tmp_path):
    told = doctor(in_bucket("any", tmp_path, "http://127.0.0.1:1"), "--offline")
    assert told.troubles == {}
    assert told.all_of("store") == ["--offline, and the lake lies in a bucket"]


def test_a_store_that_does_not_answer(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    told = doctor(in_bucket("any", tmp_path, closed))
    found = told.troubles["store.unreachable"]
    assert found["level"] == "fault"
    assert f"`curl -v {closed}` says" in found["todo"]
    assert not {"check.failed"} & told.troubles.keys()


def test_a_bucket_that_is_not_there(object_server, tmp_path):
    found = doctor(in_bucket("nobodys", tmp_path, object_server.s3)).only("store.refuses")
    assert "NoSuchBucket; make the bucket first" in found["what"]


def test_keys_nobody_knows_are_not_shown(object_server, bucket, tmp_path):
    told = doctor(in_bucket(bucket, tmp_path, object_server.s3, **STRANGER))
    assert "expected a valid AWS_ACCESS_KEY_ID" in told.only("store.refuses")["what"]
    assert not any(secret in json.dumps(told.report) for secret in STRANGER.values())


def test_keys_that_only_read(object_server, bucket, tmp_path):
    told = doctor(in_bucket(bucket, tmp_path, object_server.s3, **READER))
    assert "AccessDenied" in told.only("store.read_only")["what"]
    assert told.all_of("verdict") == ["4 of 4 parts are COMPLETE, 27 rows"]


@pytest.mark.parametrize("heeded", [(), (CREATES,), (REPLACES,)])
def test_a_store_that_ignores_conditions(tmp_path, heeded):
    with heedless(*heeded) as store:
        told = doctor(in_bucket("any", tmp_path, store.address))
    assert "so that two writers could hold one lock" in told.troubles["store.unconditional"]["what"]
    assert told.code == 1


def test_a_clock_that_is_off_the_stores(tmp_path):
    with heedless(CREATES, REPLACES, ahead_s=-300.0) as store:
        told = doctor(in_bucket("any", tmp_path, store.address))
    found = told.troubles.pop("store.clock")
    assert found["what"].endswith(
        ("our clock is 300 s ahead of it", "our clock is 301 s ahead of it")
    )
    assert list(told.troubles) == ["store.clock", "lake.none"]


def test_who_holds_locks_and_who_is_gone(object_server, root, tmp_path, monkeypatch):
    bucket = copied(object_server, root)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    place = place_of(f"s3://{bucket}/{PREFIX}", endpoint=object_server.s3, region="us-east-1")
    with locked_file(place / "locks" / "free.lock", "free"):
        ours = owner_of(place / "locks" / "free.lock")
    gone = msgspec.structs.replace(ours, started=ours.started - 1)  # another had our number
    object_server.overwrite(bucket, f"{PREFIX}/locks/gone.lock", msgspec.json.encode(gone))
    hours = Owner("elsewhere", "boot", 18, 1, "nonce", 60.0, 1_200)
    object_server.overwrite(bucket, LOCK, msgspec.json.encode(hours))
    with wired(object_server.port) as wire:
        told = doctor(in_bucket(bucket, tmp_path, wire.address))
        read = [
            one.key
            for one in wire.requests
            if one.kind == "GET" and ".lock" in one.key and "locks/" in one.key
        ]
    found = told.only("lake.lock")
    assert "process 18 of elsewhere holds locks/perpetuals_ohlcv/" in found["what"]
    assert found["what"].endswith("for 7 hours")
    assert told.all_of("store")[1:] == [
        "1 lock held, by process 18 of elsewhere",
        "1 lock of who is gone: whoever writes next takes it over",
    ]
    assert read == [f"{bucket}/{PREFIX}/locks/gone.lock", f"{bucket}/{LOCK}"]


def test_a_work_folder_nobody_may_write(object_server, bucket, tmp_path):
    (tmp_path / "file").write_text("")
    told = {"DERIBIT_LAKE_S3__WORK_DIR": str(tmp_path / "file")}
    found = doctor(in_bucket(bucket, tmp_path, object_server.s3, **told)).only("work.unwritable")
    assert f"{tmp_path / 'file'} is no folder that" in found["what"]


def test_journals_of_another_lake(object_server, bucket, tmp_path):
    folder = tmp_path / "work" / "other-0123456789ab" / "journal"
    folder.mkdir(parents=True)
    (folder / "0.arrow").write_bytes(b"")
    found = doctor(in_bucket(bucket, tmp_path, object_server.s3)).only("work.journals")
    assert found["what"] == "1 folder beside it: other-0123456789ab"


def test_how_operations_ended_is_read_from_the_bucket(object_server, bucket, tmp_path):
    outcome = Outcome(operation="sync", started_ms=0, finished_ms=1, exit_code=0)
    key = f"{PREFIX}/operations/sync.json"
    object_server.overwrite(bucket, key, msgspec.json.encode(outcome))
    done = InProcess(in_bucket(bucket, tmp_path, object_server.s3)).run("doctor", "--json")
    codes = [one["code"] for one in json.loads(done.stdout)["findings"]]
    assert "sync.old" in codes
    object_server.delete(bucket, key)
