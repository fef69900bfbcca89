"""The command line on a lake in a bucket, beside one on a lake in a folder."""

import hashlib
from dataclasses import dataclass

import httpx

from lake.store.files import names
from lake.store.place import place_of
from tests.acceptance.command import Product
from tests.objects.server import KEYS, REGION

UNTOLD = {"clean/instruments/all/all.parquet"}  # it says when each list was fetched


@dataclass(frozen=True)
class Bucketed(Product):
    """`deribit-lake` with a lake at an address; `lake` is a folder for logs and work of its own."""

    address: str = ""

    def command(self, *words):
        command = super().command(*words)
        command[command.index("--lake") + 1] = self.address
        return command


def bucketed(folder, host, *, address, store, keys=KEYS, **settings):
    """Return the product on a lake at an address of a store."""
    told = {
        "AWS_ENDPOINT_URL": store,
        "AWS_REGION": REGION,
        "AWS_SESSION_TOKEN": "",
        **keys,
        "DERIBIT_LAKE_S3__WORK_DIR": str(folder / "work"),
        "DERIBIT_LAKE_CONFIRM_AFTER": "0",
        **settings,
    }
    folder.mkdir(exist_ok=True)
    return Bucketed(folder / "lake", host, tuple(told.items()), address)


def digests_in(product, monkeypatch, tops=("clean", "derived")):
    """Return the digest of every published file of a lake in a bucket, by its name."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    endpoint = dict(product.settings)["AWS_ENDPOINT_URL"]
    root = place_of(product.address, endpoint=endpoint, region=REGION)
    return {
        f"{top}/{name}": hashlib.sha256((root / top / name).read_bytes()).hexdigest()
        for top in tops
        for name in names(root / top)
    }


def last_line(done):
    """Return the last line of what a command said on stderr."""
    return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""


def put(server, bucket, name, text):
    """Put a text into a bucket, beside our code."""
    url = f"{server.files}/buckets/{bucket}/{name}"
    httpx.put(url, content=text, trust_env=False).raise_for_status()
