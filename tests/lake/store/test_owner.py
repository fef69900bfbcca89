"""Whether the owner of a lock in a bucket is gone: who is not shown may live."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from lake.store.lease import held, read_owner
from lake.store.place import place_of
from tests.objects.server import KEYS, REGION


@pytest.fixture
def owner(object_server, monkeypatch):
    """What a lock of this process says."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    address = f"s3://{object_server.bucket()}/lake"
    lock = place_of(address, endpoint=object_server.s3, region=REGION) / "locks/a.lock"
    with held(lock, "a", seconds=0, doing="is being written by", cure="wait"):
        found, _ = read_owner(lock)
    return found


def hide(monkeypatch, pattern):
    """Let some files not be there, as where ProtectProc= hides other users' processes."""
    read_text = Path.read_text

    def hides(path, *args, **options):
        if path.match(pattern):
            raise FileNotFoundError(path)
        return read_text(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", hides)


def ended():
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_who_lives_is_not_gone_and_who_ended_or_began_later_is(owner):
    assert owner.pid == os.getpid()
    assert not owner.is_gone
    assert msgspec.structs.replace(owner, pid=ended()).is_gone
    assert msgspec.structs.replace(owner, started=owner.started - 1).is_gone


def test_who_lives_and_is_not_shown_is_not_gone(owner, monkeypatch):
    hide(monkeypatch, "/proc/[0-9]*/stat")
    assert not msgspec.structs.replace(owner, started=5).is_gone
    assert msgspec.structs.replace(owner, started=5, pid=ended()).is_gone


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"boot": "another"}])
def test_of_who_ran_elsewhere_nothing_is_known(owner, elsewhere):
    assert not msgspec.structs.replace(owner, pid=ended(), **elsewhere).is_gone


def test_where_no_machine_is_told_from_another_nothing_is_known(owner, monkeypatch):
    hide(monkeypatch, "/proc/sys/kernel/random/boot_id")
    assert not msgspec.structs.replace(owner, pid=ended(), boot="").is_gone
