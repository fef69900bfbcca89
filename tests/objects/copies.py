"""A lake in a bucket that was copied there object by object, and the command line on it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.command import Product
from tests.objects.server import KEYS

PREFIX = "lakes/ours"
NOBODY = "http://127.0.0.1:1"


@dataclass(frozen=True)
class InBucket(Product):
    """`deribit-lake` with its lake in a bucket, and a folder for what is of this machine."""

    folder: Path = Path()
    endpoint: str = NOBODY

    @property
    def environment(self):
        own = {
            "DERIBIT_LAKE_LOG_DIR": str(self.folder / "logs"),
            "DERIBIT_LAKE_S3__WORK_DIR": str(self.folder / "work"),
            "TMPDIR": str(self.folder),
            "AWS_ENDPOINT_URL": self.endpoint,
        }
        return {**os.environ, **own, **KEYS, **dict(self.settings)}


def copied(server, root):
    """Copy a lake into a bucket of its own; return the bucket's name."""
    bucket = server.bucket()
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".lock"]

    def put(path):
        server.overwrite(bucket, f"{PREFIX}/{path.relative_to(root)}", path.read_bytes())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, files))
    return bucket


def in_bucket(bucket, folder, endpoint, **settings):
    """Return the command line on a lake that was copied into a bucket."""
    address = f"s3://{bucket}/{PREFIX}"
    return InBucket(address, NOBODY, tuple(settings.items()), folder=folder, endpoint=endpoint)
