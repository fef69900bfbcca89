import pytest

from lake.errors import RefusedByStoreError, UnconditionalStoreError
from lake.paths import open_lake
from lake.store.conditions import CREATES, KNOWS_NONE, REPLACES, check_conditional, forget_trials
from lake.store.place import place_of
from tests.objects import heedless
from tests.objects.heedless import heedless as serving
from tests.objects.server import KEYS, READER
from tests.objects.wire import wired


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def opened(address, bucket="bucket"):
    return place_of(f"s3://{bucket}/lake", endpoint=address, region="us-east-1")


def test_a_store_that_keeps_its_promises_is_taken_and_nothing_is_left(object_server):
    bucket = object_server.bucket()
    with wired(object_server.port) as wire:
        check_conditional(opened(wire.address, bucket).store)
        assert object_server.objects(bucket) == []
        assert len(wire.requests) < 10


def test_what_a_killed_trial_left_is_removed_and_nothing_else(object_server):
    store = opened(object_server.s3, object_server.bucket()).store
    for key in ("conditions-0123456789abcdef", "lake.json", "raw/conditions-1"):
        store.put_if(key, b"first", None)

    forget_trials(store)

    assert [one.key for one in store.below()] == ["lake.json", "raw/conditions-1"]


@pytest.mark.parametrize(
    ("heeded", "told", "what"),
    [
        ((), {}, CREATES),
        ((heedless.REPLACES,), {}, CREATES),
        ((heedless.CREATES,), {}, REPLACES),
        ((), {"refuses": "NotImplemented"}, KNOWS_NONE),
    ],
)
def test_a_store_that_does_not_heed_conditions_gets_no_lake(heeded, told, what):
    with serving(*heeded, **told) as store:
        place = opened(store.address)
        with pytest.raises(UnconditionalStoreError) as refused:
            open_lake(place, create=True)
        assert f"s3://bucket/lake: the store {what}" in str(refused.value)
        assert store.objects == {}


def test_the_store_of_the_tests_is_refused_for_what_it_does_not_heed_alone():
    with serving(heedless.CREATES, heedless.REPLACES) as store:
        open_lake(opened(store.address), create=True)
        assert list(store.objects) == ["bucket/lake/lake.json"]


def test_a_lake_that_is_there_is_opened_without_a_trial(object_server):
    bucket = object_server.bucket()
    with wired(object_server.port) as wire:
        open_lake(opened(wire.address, bucket), create=True)
        wire.requests.clear()
        open_lake(opened(wire.address, bucket), create=True)
        assert wire.counted() == {"GET": 1}


def test_keys_that_only_read_make_no_lake(object_server, monkeypatch):
    for name, value in READER.items():
        monkeypatch.setenv(name, value)
    bucket = object_server.bucket()
    with pytest.raises(RefusedByStoreError, match="AccessDenied; expected keys that may"):
        open_lake(opened(object_server.s3, bucket), create=True)
    assert object_server.objects(bucket) == []
