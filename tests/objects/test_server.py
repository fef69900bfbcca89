"""What the tests of the lake on object storage take for granted of the server they run against."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    PermissionDeniedError,
    PreconditionError,
)
from obstore.store import S3Store

from tests.objects.server import KEYS, READER, REGION, STRANGER, serving
from tests.objects.wire import wired

WRITERS = 8
ROUNDS = 50
pytestmark = pytest.mark.slow


def opened(address, bucket, keys=KEYS):
    """Open a bucket, trying each request once."""
    return S3Store(
        bucket,
        endpoint=address,
        region=REGION,
        access_key_id=keys["AWS_ACCESS_KEY_ID"],
        secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True, "timeout": "60s"},
        retry_config={"max_retries": 0},
    )


@pytest.fixture
def server(object_server):
    return object_server


@pytest.fixture
def bucket(server):
    return server.bucket()


@pytest.fixture
def store(server, bucket):
    return opened(server.s3, bucket)


def winners(store, key, mode):
    """Let writers put distinct contents at the same moment; return those who were not refused."""
    ready = threading.Barrier(WRITERS)

    def put(number):
        ready.wait()
        try:
            store.put(key, f"of writer {number}".encode(), mode=mode)
        except (AlreadyExistsError, PreconditionError):
            return None
        return f"of writer {number}".encode()

    with ThreadPoolExecutor(WRITERS) as pool:
        return [one for one in pool.map(put, range(WRITERS)) if one]


def test_of_many_who_create_an_object_one_wins(store):
    for number in range(ROUNDS):
        won = winners(store, f"created/{number}", "create")
        assert won == [bytes(store.get(f"created/{number}").bytes())]


def test_of_many_who_replace_the_same_version_one_wins(store):
    for number in range(ROUNDS):
        tag = store.put(f"replaced/{number}", b"first")["e_tag"]
        won = winners(store, f"replaced/{number}", {"e_tag": tag})
        assert won == [bytes(store.get(f"replaced/{number}").bytes())]


@pytest.mark.parametrize(
    "keys", [STRANGER, KEYS | {"AWS_SECRET_ACCESS_KEY": STRANGER["AWS_SECRET_ACCESS_KEY"]}]
)
def test_who_is_not_known_reads_nothing(server, bucket, keys):
    server.overwrite(bucket, "object", b"content")
    with pytest.raises(PermissionDeniedError):
        opened(server.s3, bucket, keys).get("object")


def test_a_reader_reads_and_does_not_write(server, bucket, store):
    store.put("object", b"content")
    reader = opened(server.s3, bucket, READER)

    assert bytes(reader.get("object").bytes()) == b"content"
    with pytest.raises(PermissionDeniedError):
        reader.put("object", b"other", mode="overwrite")
    with pytest.raises(GenericError, match="AccessDenied"):  # it asks to delete a list of one
        reader.delete("object")
    assert server.read(bucket, "object") == b"content"


def test_a_bucket_that_is_not_there_is_not_made(server):
    with pytest.raises(FileNotFoundError, match="NoSuchBucket"):
        opened(server.s3, "nobodys").put("object", b"content")


def test_a_listing_goes_over_all_pages(store):
    names = [f"raw/trades/{number:04}" for number in range(1_100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: store.put(name, b"."), names))

    listed = [one["path"] for page in store.list("raw", chunk_size=100) for one in page]

    assert sorted(listed) == names
    assert store.list_with_delimiter("raw")["common_prefixes"] == ["raw/trades"]


def test_a_range_is_what_was_asked_for(store):
    store.put("object", bytes(range(256)))
    assert bytes(store.get_range("object", start=10, end=20)) == bytes(range(10, 20))


def test_two_servers_run_side_by_side(server):
    with serving() as other:
        bucket = other.bucket()
        opened(other.s3, bucket).put("object", b"content")
        assert other.objects(bucket) == ["object"]
        assert httpx.get(server.s3, trust_env=False).status_code == 403


def test_a_wire_counts_what_passes(server, bucket):
    with wired(server.port) as wire:
        store = opened(wire.address, bucket)
        store.put("clean/object", b"x" * 1_000)
        store.get_range("clean/object", start=0, end=10)
        list(store.list("clean"))

    assert wire.counted() == {"PUT": 1, "GET": 1, "LIST": 1}
    assert [one.status for one in wire.requests] == [200, 206, 200]
    assert wire.sent == 1_000
    assert wire.requests[1].received == 10


def test_a_body_that_is_cut_off_leaves_nothing(server, bucket):
    with wired(server.port) as wire:
        wire.fails("PUT", "object", cut_at=500_000)
        with pytest.raises(Exception, match="HTTP"):
            opened(wire.address, bucket).put("object", b"x" * 1_000_000, use_multipart=False)

    assert wire.cuts == 1
    assert server.objects(bucket) == []


def test_an_answer_that_is_swallowed_was_carried_out(server, bucket):
    with wired(server.port) as wire:
        wire.fails("PUT", "object", swallowed=True)
        with pytest.raises(Exception, match="HTTP"):
            opened(wire.address, bucket).put("object", b"content")
        opened(wire.address, bucket).put("other", b"content")

    assert server.objects(bucket) == ["object", "other"]


def test_an_answer_is_held_back_until_it_is_let_go(server, bucket):
    go = threading.Event()
    with wired(server.port) as wire, ThreadPoolExecutor(1) as pool:
        fault = wire.fails("PUT", held=go)
        putting = pool.submit(opened(wire.address, bucket).put, "object", b"content")
        while server.objects(bucket) != ["object"]:
            assert not putting.done()
        assert fault.met == 1
        go.set()
        assert putting.result()["e_tag"]


def test_a_busy_store_does_nothing(server, bucket):
    with wired(server.port) as wire:
        wire.fails("PUT", busy=True)
        with pytest.raises(Exception, match="SlowDown"):
            opened(wire.address, bucket).put("object", b"content")

    assert server.objects(bucket) == []
