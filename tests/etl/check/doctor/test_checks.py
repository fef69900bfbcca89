"""What no test can bring an installation to: read from files as a kernel would write them."""

import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from etl.check.doctor import clock, disk, locks, programs, repository, setup, systemctl, tree, units
from etl.check.doctor.origins import read_sources
from etl.check.doctor.situation import Situation
from etl.config import Backup, Settings
from etl.database import packages


def situation(environment=None, **settings):
    sources = read_sources(None, {}, environment or {})
    silent, kept = (lambda _: ("silent", "")), (lambda _: "")
    return Situation(Settings(**settings), sources, environment or {}, 0, silent, kept)


def seen(module, told, *areas):
    """Return what a module finds of some areas."""
    return [one for one in module.look(told) if one.code.partition(".")[0] in areas]


def codes(findings):
    return [(one.code, one.level) for one in findings]


def test_a_processor_that_lacks_what_polars_needs(monkeypatch, tmp_path):
    told = tmp_path / "cpuinfo"
    told.write_text("processor : 0\nflags\t\t: fpu sse4_1 sse4_2 popcnt pni ssse3 cx16\n")
    monkeypatch.setattr(programs, "CPUINFO", told)
    (found,) = seen(programs, situation(), "cpu")
    assert found.code == "cpu.features"
    assert "avx2" in found.what
    assert "sse3" not in found.what


def test_a_processor_that_tells_no_instructions_is_not_looked_at(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nFeatures : fp asimd\n")
    monkeypatch.setattr(programs, "CPUINFO", tmp_path / "cpuinfo")
    told = [one.what for one in programs.look(situation())]
    assert not [one for one in told if "processor" in one]


def test_numba_that_can_keep_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    told = {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "numba")}
    (found,) = seen(programs, situation(told), "numba")
    assert found.code == "numba.cache"
    well = seen(
        programs, situation({"NUMBA_CACHE_DIR": str(tmp_path / "new")}), "programs", "numba"
    )
    assert well[-1].what == f"numba keeps what it compiled in {tmp_path / 'new'}"


@pytest.mark.parametrize(
    ("state", "level"), [(0, "ok"), (5, "warning"), (-1, "not looked at"), (1, "ok")]
)
def test_the_kernel_says_whether_its_clock_is_kept_right(monkeypatch, tmp_path, state, level):
    libc = SimpleNamespace(adjtimex=lambda _: state)
    monkeypatch.setattr(clock.ctypes, "CDLL", lambda *_, **__: libc)
    monkeypatch.setattr(systemctl, "MARKS", ())
    monkeypatch.setattr(clock, "SYNCED", tmp_path / "synchronized")
    assert [one.level for one in clock.look(situation())] == [level]


def test_timesyncd_that_has_synchronised_is_believed(monkeypatch, tmp_path):
    libc = SimpleNamespace(adjtimex=lambda _: 5)
    monkeypatch.setattr(clock.ctypes, "CDLL", lambda *_, **__: libc)
    monkeypatch.setattr(systemctl, "MARKS", ())
    (tmp_path / "synchronized").write_text("")
    monkeypatch.setattr(clock, "SYNCED", tmp_path / "synchronized")
    assert codes(clock.look(situation())) == [("clock", "ok")]


def test_a_container_has_its_hosts_clock(monkeypatch, tmp_path):
    (tmp_path / "mark").write_text("")
    monkeypatch.setattr(systemctl, "MARKS", (str(tmp_path / "mark"),))
    assert codes(clock.look(situation())) == [("clock", "not looked at")]


def test_a_file_system_on_a_network(monkeypatch, tmp_path):
    monkeypatch.setattr(disk, "NETWORK", (disk.kind_of(tmp_path),))
    found = codes(seen(disk, situation(root=tmp_path), "files"))
    assert found == [("files.network", "warning"), ("files", "ok")]
    assert disk.kind_of(Path("/proc/self")) == "proc"


def test_a_file_system_that_does_not_sync(monkeypatch, tmp_path):
    def refuse(_):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(disk.os, "fsync", refuse)
    (found,) = seen(disk, situation(root=tmp_path), "files")
    assert (found.code, "Invalid argument" in found.what) == ("files.atomic", True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_gives_a_lock_twice(monkeypatch, tmp_path):
    monkeypatch.setattr(disk.fcntl, "flock", lambda *_: None)
    (found,) = seen(disk, situation(root=tmp_path), "files")
    assert found.code == "files.lock"


def test_a_file_system_without_space_is_not_tried_out(monkeypatch, tmp_path):
    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", refuse)
    assert codes(seen(disk, situation(root=tmp_path), "files")) == [("files", "not looked at")]


def test_who_holds_a_lock_is_read_from_the_kernel(tmp_path):
    path = tmp_path / "one.lock"
    with path.open("w") as file:
        assert locks.holder(path, locks.holders()) is None
        fcntl.flock(file, fcntl.LOCK_EX)
        assert locks.holder(path, locks.holders()) == os.getpid()
    assert locks.holder(tmp_path / "none.lock", locks.holders()) is None
    assert locks.holder(path / "below.lock", locks.holders()) is None


def test_who_waits_for_a_lock_does_not_hold_it(monkeypatch, tmp_path):
    told = tmp_path / "locks"
    told.write_text(
        "1: FLOCK  ADVISORY  WRITE 11 fe:00:21 0 EOF\n"
        "1: -> FLOCK  ADVISORY  WRITE 12 fe:00:21 0 EOF\n"
        "2: POSIX  ADVISORY  WRITE 13 fe:00:22 0 EOF\n"
        "3: FLOCK  ADVISORY  READ 14 fe:00:23 0 EOF\n"
    )
    monkeypatch.setattr(locks, "LOCKS", told)
    assert locks.holders() == {21: 11}


def test_a_kernel_that_lists_no_locks_tells_of_none(monkeypatch, tmp_path):
    monkeypatch.setattr(locks, "LOCKS", tmp_path / "nowhere")
    assert locks.holders() == {}


def test_a_walk_that_takes_too_long_says_so(monkeypatch, tmp_path):
    (tmp_path / "lake.json").write_text('{"format": 4}')
    monkeypatch.setattr(tree, "LOOK_S", -1)
    told = [one.what for one in tree.look(situation(root=tmp_path))]
    assert any(one.startswith("at least, as far as -1 s went") for one in told)


def test_what_a_backup_links_takes_its_room_once(tmp_path):
    (tmp_path / "lake.json").write_text('{"format": 4}')
    (tmp_path / "rows").write_bytes(b"x" * 5_000_000)
    (tmp_path / "linked").hardlink_to(tmp_path / "rows")
    told = [one.what for one in tree.look(situation(root=tmp_path))]
    assert f"2 files, 5 MB in {tmp_path}" in told


def test_without_systemd_units_are_not_looked_at(monkeypatch, tmp_path):
    monkeypatch.setattr(systemctl, "BOOTED", tmp_path / "nowhere")
    assert codes(units.look(situation())) == [("timers", "not looked at")]


def test_a_systemd_that_does_not_answer(monkeypatch, tmp_path):
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(systemctl, "BOOTED", tmp_path)
    (found,) = units.look(situation())
    assert (found.level, found.todo) == ("not looked at", "run doctor as root")


def test_a_password_file_that_others_may_read(tmp_path):
    path = tmp_path / "password"
    path.write_text("geheim")
    path.chmod(0o640)
    told = situation({"RESTIC_PASSWORD_FILE": str(path)})
    (found,) = [one for one in setup.look(told) if one.code == "secrets.mode"]
    assert found.todo.startswith(f"chmod 600 {path}")
    path.chmod(0o400)
    assert "secrets.mode" not in dict(codes(setup.look(told)))


@pytest.mark.parametrize(
    ("database", "lacking"), [(True, ["restic", "pg_dump"]), (False, ["restic"])]
)
def test_programs_a_backup_needs(monkeypatch, tmp_path, database, lacking):
    monkeypatch.setattr(packages, "PROGRAMS", "nowhere")  # what `db up` unpacked, too
    backup = Backup(repository=str(tmp_path / "repository"), database=database)
    dsn = "postgresql://deribit@127.0.0.1:9/deribit"
    told = situation({"PATH": str(tmp_path)}, backup=backup, dsn=dsn)
    assert codes(repository.look(told)) == [(f"backup.{name}", "fault") for name in lacking]
    for name in lacking:
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    assert codes(repository.look(told)) == [("backup.password", "fault")]
