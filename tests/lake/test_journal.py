import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import DiskFullError, NotWritableError
from lake.frame import frames
from lake.journal import SCHEMA, Damage, Journal, damage, journals, read_journal
from lake.paths import Lake

ROOT = Path(__file__).parents[2]
US = 1_760_000_000_000_000


def message(number, *, channel="ticker.BTC-PERPETUAL.100ms", body=None):
    return (US + number, number % 3, "ticker", channel, b"%d" % number if body is None else body)


def journal(folder, *flushes):
    """Return the path of a closed journal of some flushes."""
    one = Journal.open(Lake(folder), US)
    for records in flushes:
        one.append(records)
        one.write()
    one.close()
    return one.path


def held(path):
    return [tuple(row.values()) for batch in read_journal(path) for row in batch.to_pylist()]


messages = st.tuples(
    st.integers(0, 2**53),
    st.integers(0, 2**31 - 1),
    st.text(max_size=9),
    st.text(max_size=20),
    st.binary(max_size=60),
)


@given(st.lists(st.lists(messages, max_size=5), max_size=4))
def test_messages_read_back_byte_for_byte_and_in_order(tmp_path_factory, flushes):
    path = journal(tmp_path_factory.mktemp("lake"), *flushes)

    assert held(path) == [one for records in flushes for one in records]
    assert damage(path) == Damage(0, 0)


def test_a_journal_is_a_stream_that_any_arrow_reads(tmp_path):
    path = journal(tmp_path, [message(1), message(2)], [message(3)])

    with pa.ipc.open_stream(path) as stream:
        table = stream.read_all()

    assert table.schema.equals(SCHEMA)
    assert table["message"].to_pylist() == [b"1", b"2", b"3"]


def test_a_flush_of_nothing_adds_nothing(tmp_path):
    one = Journal.open(Lake(tmp_path), US)
    before = one.bytes

    assert (one.write(), one.bytes, one.pending) == (0, before, 0)
    one.close()


def test_what_was_collected_is_pending_until_it_is_written(tmp_path):
    one = Journal.open(Lake(tmp_path), US)
    one.append([message(1), message(2)])
    one.append([message(3)])

    assert one.pending == 3
    assert one.write() == 3
    assert (one.pending, one.bytes) == (0, one.path.stat().st_size)
    one.close()


def test_journals_are_listed_oldest_first_and_two_of_one_instant_are_two(tmp_path):
    lake = Lake(tmp_path)
    opened = [Journal.open(lake, us) for us in (US + 5, 7, US, US)]
    for one in opened:
        one.close()

    stamps = [int(path.name.partition("-")[0]) for path in journals(lake)]
    assert stamps == [7, US, US, US + 5]


def test_a_lake_without_a_journal_has_none(tmp_path):
    assert journals(Lake(tmp_path)) == []


def test_a_journal_cut_anywhere_reads_as_the_flushes_before_the_cut(tmp_path):
    path = journal(tmp_path, [message(1), message(2)], [message(3)], [message(4)])
    data, cut = path.read_bytes(), tmp_path / "cut"
    whole, seen = held(path), set()

    for size in range(len(data)):
        cut.write_bytes(data[:size])
        found = held(cut)
        assert found == whole[: len(found)]
        assert damage(cut).inside == 0
        seen.add(len(found))

    assert seen == {0, 2, 3}


def test_a_flipped_bit_costs_its_flush_and_no_other(tmp_path):
    flushes = [], [message(1), message(2)], [message(3)], [message(4)]
    data, bad = journal(tmp_path, *flushes).read_bytes(), tmp_path / "bad"

    for hit, (start, frame) in enumerate(frames(data)):
        kept = [one for flush in flushes if flush is not flushes[hit] for one in flush]
        for place in range(start, start + len(frame)):
            damaged = bytearray(data)
            damaged[place] ^= 1 << place % 8
            bad.write_bytes(damaged)
            assert held(bad) == kept


def test_a_tail_of_zeros_is_torn(tmp_path):
    """What a machine that lost power leaves of a file that grew."""
    path = journal(tmp_path, [message(1)])
    with path.open("ab") as file:
        file.write(bytes(4_096))

    assert held(path) == [message(1)]
    assert damage(path) == Damage(inside=0, torn=4_096)


def test_damage_before_what_can_be_read_is_told_from_a_torn_tail(tmp_path):
    first = journal(tmp_path, [message(1)]).stat().st_size
    path = journal(tmp_path, [message(1)], [message(2)])
    data = bytearray(path.read_bytes())
    data[first - 20] ^= 1
    path.write_bytes(data + b"tail")

    assert held(path) == [message(2)]
    assert damage(path).torn == 4
    assert 0 < damage(path).inside < first


def test_a_journal_that_looks_like_one_inside_a_message_stays_a_message(tmp_path):
    inner = journal(tmp_path, [message(1)]).read_bytes()

    path = journal(tmp_path, [message(2, body=inner), message(3, body=b"lake-1 00000000 0" * 9)])

    assert [row[0] - US for row in held(path)] == [2, 3]
    assert held(path)[0][-1] == inner


def test_a_large_flush_is_written_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("lake.journal.BATCH_RECORDS", 4)
    monkeypatch.setattr("lake.journal.BATCH_BYTES", 250)
    sent = [message(number, body=bytes(100)) for number in range(10)]
    sent.append(message(10, body=bytes(1_000)))

    path = journal(tmp_path, sent)

    assert [batch.num_rows for batch in read_journal(path)] == [2, 2, 2, 2, 1, 1, 1]
    assert held(path) == sent


def test_a_write_that_the_disk_refuses_is_cut_off_and_made_again(tmp_path):
    """The limit on the size of a file stands for the disk's end: both refuse in mid-write."""
    one = Journal.open(Lake(tmp_path), US)
    one.append([message(1)])
    one.write()
    size = one.bytes
    one.append([message(2, body=os.urandom(50_000))])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, hard))
    try:
        with pytest.raises(DiskFullError, match="journal"):
            one.write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert (one.pending, one.path.stat().st_size) == (1, size)
    assert len(held(one.path)) == 1
    one.append([message(3)])
    assert one.write() == 2
    assert [row[0] - US for row in held(one.path)] == [1, 2, 3]
    one.close()


def test_a_sync_that_fails_is_no_flush(tmp_path, monkeypatch):
    one = Journal.open(Lake(tmp_path), US)
    one.append([message(1)])

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(NotWritableError, match="Input/output error"):
            one.write()

    assert held(one.path) == []
    assert (one.write(), held(one.path)) == (1, [message(1)])
    one.close()


def test_a_journal_in_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "journal").write_text("a file")

    with pytest.raises(NotWritableError, match="journal"):
        Journal.open(Lake(tmp_path), US)


def test_what_write_returned_for_survives_a_kill(tmp_path):
    code = (
        "import itertools, sys; from pathlib import Path; from lake.journal import Journal;"
        "from lake.paths import Lake; one = Journal.open(Lake(Path(sys.argv[1])), 1)\n"
        "for n in itertools.count():\n"
        "    one.append([(n, 0, 'f', 'c', b'%d' % n * 500)]); one.write(); print(n, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        writer.stdout.readline()
        time.sleep(0.3)
        writer.kill()
        told = [int(line) for line in writer.stdout if line.endswith("\n")]

    (path,) = journals(Lake(tmp_path))
    numbers = [row[0] for row in held(path)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > told[-1] > 0
