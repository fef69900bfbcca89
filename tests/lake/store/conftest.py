"""Lakes in buckets of a real S3 server, each test in one of its own."""

import pytest

from lake.store.place import place_of
from tests.objects.server import KEYS, REGION


@pytest.fixture
def bucket(object_server, monkeypatch):
    """A bucket of the test's own; the environment has keys that may do everything in it."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return object_server.bucket()


@pytest.fixture
def lake_at(object_server, bucket):
    """Return the root of the lake in the bucket, by the way of an address."""

    def at(address=object_server.s3, *, bucket=bucket, lease_seconds=60.0):
        return place_of(
            f"s3://{bucket}/lake", endpoint=address, region=REGION, lease_seconds=lease_seconds
        )

    return at
