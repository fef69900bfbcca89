"""A small lake, and a bucket of a real server to copy it to, by a wire that counts."""

import shutil
from dataclasses import dataclass, replace
from itertools import count

import pytest
from obstore.store import S3Store

from etl.mirror.look import Ask
from etl.mirror.run import pull, push
from etl.progress import LogProgress
from lake.paths import Lake
from lake.store.place import place_of
from tests.etl.backup.lakes import filled
from tests.objects.server import KEYS, REGION, Server
from tests.objects.wire import Wire, wired

NUMBERS = count()


@dataclass
class Bucket:
    """A part of a bucket to copy to: what went over to it, and what it holds."""

    server: Server
    wire: Wire
    name: str
    prefix: str
    lease_seconds: float = 60

    @property
    def address(self):
        return f"s3://{self.name}/{self.prefix}"

    def reached(self, **told):
        """The same, reached in another way."""
        return replace(self, **told)

    def at(self):
        """The lake that is there."""
        told = {"region": REGION, "lease_seconds": self.lease_seconds}
        return Lake(place_of(self.address, endpoint=self.wire.address, **told))

    def push(self, lake, **asked):
        return push(lake, self.at(), LogProgress(), Ask(**asked))

    def pull(self, folder, **asked):
        lake = Lake(folder)
        pull(lake, self.at(), LogProgress(), Ask(**asked))
        return lake

    def overwrite(self, name, data):
        self.server.overwrite(self.name, f"{self.prefix}/{name}", data)

    def passed(self, work):
        """The requests that pass while something is done."""
        before = len(self.wire.requests)
        work()
        return self.wire.requests[before:]

    def opened(self):
        """The same, by a client of the tests' own."""
        keys = {name.lower(): key for name, key in KEYS.items()}
        told = {
            "endpoint": self.server.s3,
            "region": REGION,
            "client_options": {"allow_http": True},
        }
        return S3Store(self.name, prefix=self.prefix, **told, **keys)

    def objects(self):
        """What is there by name, but for locks and the marker."""
        store = self.opened()
        names = [one["path"] for page in store.list() for one in page]
        return {
            name: store.get(name).bytes().to_bytes()
            for name in names
            if not name.startswith("locks/") and name != "lake.json"
        }


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A lake of four partitions; copy it, do not use it."""
    lake = filled(tmp_path_factory.mktemp("small") / "lake")
    shutil.rmtree(lake.root / "journal")
    shutil.rmtree(lake.root / "live")
    return lake.root


@pytest.fixture
def lake(small, tmp_path):
    return Lake(shutil.copytree(small, tmp_path / "lake"))


@pytest.fixture(scope="session")
def wire(object_server):
    with wired(object_server.port) as wire:
        yield wire


@pytest.fixture(scope="session")
def bucket_name(object_server):
    return object_server.bucket()


@pytest.fixture
def bucket(object_server, bucket_name, wire, monkeypatch):
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    return Bucket(object_server, wire, bucket_name, f"copy-{next(NUMBERS)}")
