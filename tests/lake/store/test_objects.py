"""What a lake does with a bucket: one put an object, whatever the network or the store answers."""

import pytest

from lake.errors import ConflictError, RefusedByStoreError, UnreachableStoreError
from lake.store.files import remove
from lake.store.objects import TRIES
from tests.objects.server import KEYS, READER, STRANGER
from tests.objects.wire import wired

SECRETS = [keys["AWS_SECRET_ACCESS_KEY"] for keys in (KEYS, READER, STRANGER)]
pytestmark = pytest.mark.slow


@pytest.fixture
def wire(object_server):
    with wired(object_server.port) as carrying:
        yield carrying


@pytest.fixture
def store(lake_at, wire):
    """The lake's part of the bucket, by the way of the wire."""
    return lake_at(wire.address).store


@pytest.fixture
def with_keys(monkeypatch, lake_at):
    """Return the same part of the bucket as a process with other keys sees it."""

    def seen(keys):
        for name, value in keys.items():
            monkeypatch.setenv(name, value)
        return lake_at().store

    return seen


def test_a_first_put_asks_once_whether_there_is_one(store, wire):
    store.put("raw/a", b"first")
    store.put("raw/a", b"second")

    assert wire.counted() == {"HEAD": 1, "PUT": 2}
    assert [one.headers.get("if-none-match") for one in wire.requests] == [None, "*", None]
    assert wire.requests[2].headers["if-match"]


def test_of_two_writers_none_replaces_what_it_has_not_seen(store, lake_at):
    other = lake_at().store
    tag = store.put("raw/a", b"first")
    other.put("raw/a", b"of another")
    store.put("raw/a", b"second")
    with pytest.raises(ConflictError):
        other.put_if("raw/a", b"third", tag)

    assert other.get("raw/a") == b"second"


def test_who_may_not_write_any_more_is_asked_before_each_try(store, lake_at):
    asked = []

    def check():
        asked.append(1)
        lake_at().store.put("raw/a", f"of another, {len(asked)}".encode())

    with pytest.raises(ConflictError, match="raw/a is being written by another process"):
        store.put("raw/a", b"ours", check)
    assert len(asked) == TRIES


@pytest.mark.parametrize("seen", [b"", b"first"])
@pytest.mark.parametrize("how", [{"swallowed": True}, {"cut_at": 100}, {"busy": True}])
def test_a_put_that_the_network_loses_is_made_all_the_same(store, wire, how, seen):
    if seen:
        store.put("raw/a", seen)
    lost = wire.fails("PUT", "raw/a", **how)
    store.put("raw/a", b"second" * 100)

    assert lost.met == 1
    assert store.get("raw/a") == b"second" * 100


def test_an_answer_that_is_lost_is_asked_for_again(store, wire):
    store.put("raw/a", b"first")
    for verb in ("GET", "HEAD", "LIST", "POST"):
        wire.fails(verb, swallowed=True)

    assert store.get("raw/a") == b"first"
    assert store.head("raw/a").size == len(b"first")
    assert [one.key for one in store.below("raw")] == ["raw/a"]
    store.delete("raw/a")
    assert store.head("raw/a") is None
    assert [one.met for one in wire.faults] == [1, 1, 1, 1]


def test_a_large_object_has_the_time_it_takes(store, wire, monkeypatch):
    monkeypatch.setattr("lake.store.objects.REQUEST_SECONDS", 1)
    monkeypatch.setattr("lake.store.objects.RETRIES", 0)
    for late in (2.0, 2.0):
        wire.fails("PUT", late=late)
    with pytest.raises(UnreachableStoreError):
        store.put("raw/small", b"content")
    store.put("raw/large", bytes(1_000_000))

    assert len(store.get("raw/large")) == 1_000_000


def test_a_store_that_stays_busy_cannot_be_reached(store, wire, monkeypatch):
    monkeypatch.setattr("lake.store.objects.RETRIES", 1)
    busy = wire.fails("PUT", busy=True, times=1_000)
    with pytest.raises(UnreachableStoreError, match=r"it is busy: SlowDown\): nothing published"):
        store.put("raw/a", b"first")
    assert busy.met == 2


def test_a_store_that_is_gone_cannot_be_reached(store, wire, monkeypatch):
    monkeypatch.setattr("lake.store.objects.RETRIES", 1)
    wire.dead = True
    with pytest.raises(UnreachableStoreError, match="cannot be reached"):
        store.get("raw/a")


ASKED = {
    "get": lambda store: store.get("raw/a"),
    "list": lambda store: list(store.below("raw")),
    "put": lambda store: store.put("raw/b", b"content"),
    "delete": lambda store: store.delete("raw/a"),
    "time": lambda store: store.now_s("raw/a"),
}


def refusal(store, asked):
    with pytest.raises(RefusedByStoreError) as failure:
        ASKED[asked](store)
    said = str(failure.value)
    assert not any(secret in said for secret in SECRETS)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("asked", ["get", "list", "put", "delete"])
@pytest.mark.parametrize(
    ("keys", "code"),
    [
        (STRANGER, "InvalidAccessKeyId"),
        (KEYS | {"AWS_SECRET_ACCESS_KEY": SECRETS[2]}, "SignatureDoesNotMatch"),
    ],
)
def test_wrong_keys_are_one_line_without_them(with_keys, keys, code, asked):
    assert f"refuses: {code}; expected a valid AWS_ACCESS_KEY_ID" in refusal(with_keys(keys), asked)


@pytest.mark.parametrize("asked", ["put", "delete", "time"])
def test_a_reader_is_told_what_his_keys_lack(store, with_keys, asked):
    store.put("raw/a", b"first")
    reader = with_keys(READER)

    assert "AccessDenied; expected keys that may list, read, write" in refusal(reader, asked)
    assert reader.get("raw/a") == b"first"


@pytest.mark.parametrize("asked", ASKED)
def test_a_bucket_that_is_not_there_is_named(lake_at, asked):
    told = refusal(lake_at(bucket="nobodys").store, asked)
    assert told.startswith("s3://nobodys/lake refuses: NoSuchBucket; make the bucket first")


def test_an_object_that_is_not_there_is_named_in_a_line(lake_at):
    with pytest.raises(FileNotFoundError) as failure:
        lake_at().store.get("raw/a")
    assert str(failure.value) == "Object at location lake/raw/a not found"


def test_what_a_writer_removes_is_gone_and_need_not_be_there(lake_at):
    place = lake_at() / "clean" / "a.parquet"
    place.store.put(place.key, b"content")
    remove(place)
    remove(place)
    with pytest.raises(FileNotFoundError):
        place.read_bytes()
