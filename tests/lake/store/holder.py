"""A process of its own that locks a lake in a bucket, and then does as it is told, line by line.

Lines of its input: `put TEXT` publishes an object of the partition, `remove` removes it, `end`
sets the lock free. It answers each with a word: `held` first, then `put` or the name of the error,
`free` in the end.
"""

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import msgspec

NAMES = ("locks/a.lock", "clean/a.parquet")
ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Told:
    """What a process is told: which lake, and how to hold its lock."""

    endpoint: str
    bucket: str
    lease_seconds: float = 60.0
    wait_seconds: float = 0.0
    host: str = ""  # where it says it runs; empty for here
    counts: int = 0  # how often to count the object `n` up, each time under the lock


class Holder:
    """A process that has begun, from the side of who tells it what to do."""

    def __init__(self, process):
        self.process = process

    def says(self):
        return self.process.stdout.readline().strip()

    def told(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.says()


@contextmanager
def holding(told, *, under=()):
    """Yield a process that has begun; `under` is the command it runs under."""
    told = msgspec.json.encode(asdict(told)).decode()
    command = [*under, sys.executable, "-m", "tests.lake.store.holder", told]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        try:
            yield Holder(process)
        finally:
            process.kill()


def _hold(told):
    from lake.errors import LakeError  # noqa: PLC0415  (a clock that is set may be set before)
    from lake.store.files import publish_object, remove  # noqa: PLC0415
    from lake.store.lease import held  # noqa: PLC0415

    lock, place = _places(told)
    try:
        with held(lock, "a", seconds=told.wait_seconds, doing="is being written by", cure="wait"):
            _say("held")
            for line in sys.stdin:
                if line.startswith("end"):
                    break
                try:
                    if line.startswith("remove"):
                        remove(place)
                    else:
                        publish_object(place, line.partition(" ")[2].strip().encode())
                except LakeError as error:
                    _say(type(error).__name__)
                else:
                    _say("put")
    except LakeError as error:
        _say(type(error).__name__)
    _say("free")


def _count(told):
    from obstore.store import S3Store  # noqa: PLC0415

    from lake.store.lease import held  # noqa: PLC0415

    lock, _ = _places(told)
    objects = S3Store(
        told.bucket,
        endpoint=told.endpoint,
        region="us-east-1",
        client_options={"allow_http": True},
    )
    for _ in range(told.counts):
        with held(lock, "a", seconds=None, doing="is being written by", cure="wait"):
            number = int(bytes(objects.get("n").bytes()))
            objects.put("n", str(number + 1).encode(), mode="overwrite")
    _say("free")


def _places(told):
    from lake.store.place import place_of  # noqa: PLC0415

    root = place_of(
        f"s3://{told.bucket}/lake",
        endpoint=told.endpoint,
        region="us-east-1",
        lease_seconds=told.lease_seconds,
    )
    return root / NAMES[0], root / NAMES[1]


def _say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main():
    import socket  # noqa: PLC0415

    from lake.store import lease  # noqa: PLC0415

    told = Told(**msgspec.json.decode(sys.argv[1]))
    lease.POLL_SECONDS = 0.05  # many wait here for a short time
    if told.host:
        socket.gethostname = lambda: told.host
    _count(told) if told.counts else _hold(told)


if __name__ == "__main__":
    main()
