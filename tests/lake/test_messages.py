import random
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import messages
from lake.errors import CorruptFileError
from lake.frame import frames
from lake.journal import Journal, journals, read_journal
from lake.messages import (
    SCHEMA,
    last_a_minute,
    last_each,
    read_socket,
    settle,
    socket_files,
    socket_folder,
)
from lake.paths import Lake
from lake.verify import verify

ROOT = Path(__file__).parents[2]
MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = date(2026, 3, 14)
US = int(datetime(2026, 3, 14, 9, tzinfo=UTC).timestamp()) * 1_000_000


def journal(lake, *flushes):
    """Return a closed journal of some flushes of ``(µs since nine, family, channel, message)``."""
    one = Journal.open(lake, US)
    for flush in flushes:
        one.append([(US + at, 0, family, channel, body) for at, family, channel, body in flush])
        one.write()
    one.close()
    return one.path


def held(lake):
    """Return all settled messages with their hour, whatever file they are in."""
    found = sorted(lake.root.glob("raw/socket/*/*/*.parquet"))
    return sorted(
        (family_of(path), path.name[:2], row["channel"], row["message"])
        for path in found
        for row in pq.read_table(path).to_pylist()
    )


def family_of(path):
    return path.parts[-3].removeprefix("family=")


def tickers(*rows):
    """Return messages of ``(µs since nine, channel)``, each numbered."""
    at, channels = zip(*rows, strict=True)
    bodies = [b"%d" % number for number in range(len(rows))]
    stamps = pa.array([US + us for us in at]).cast(SCHEMA.types[0])
    return pa.table([stamps, pa.array([0] * len(rows), pa.int32()), channels, bodies], SCHEMA)


def kept(table):
    return [int(body) for body in last_a_minute(table)["message"].to_pylist()]


def test_a_journal_becomes_a_file_of_each_family_and_hour_and_is_gone(tmp_path):
    lake = Lake(tmp_path)
    path = journal(
        lake,
        [(5, "trades", "trades.option.BTC", b"1"), (6, "ticker", "ticker.A", b"2")],
        [(HOUR, "ticker", "ticker.A", b"3")],
    )

    settled = settle(lake, path)

    assert (settled.messages, settled.kept, journals(lake)) == (3, 3, [])
    assert [str(file.relative_to(lake.root / "raw/socket")) for file in sorted(settled.files)] == [
        f"family=ticker/day=2026-03-14/09-{path.stem}-000.parquet",
        f"family=ticker/day=2026-03-14/10-{path.stem}-000.parquet",
        f"family=trades/day=2026-03-14/09-{path.stem}-000.parquet",
    ]


def test_a_settled_message_says_when_where_and_what(tmp_path):
    lake = Lake(tmp_path)
    settle(lake, journal(lake, [(7, "ticker", "ticker.A", b"\x00{")]))

    (batch,) = read_socket(socket_files(lake, "ticker", DAY))

    assert batch.schema.equals(SCHEMA)
    assert batch.column("received_at").cast(pa.int64()).to_pylist() == [US + 7]
    assert batch.select(["connection", "channel", "message"]).to_pylist() == [
        {"connection": 0, "channel": "ticker.A", "message": b"\x00{"}
    ]


def test_rows_are_by_channel_and_time_and_equal_ones_as_they_came(tmp_path):
    lake = Lake(tmp_path)
    rows = [(at, "f", channel, b"%d" % n) for n, (at, channel) in enumerate(
        [(9, "B"), (3, "A"), (1, "B"), (3, "A"), (2, "A")])]  # fmt: skip
    settle(lake, journal(lake, rows[:2], rows[2:]))

    (batch,) = read_socket(socket_files(lake, "f", DAY))

    assert batch.column("message").to_pylist() == [b"4", b"1", b"3", b"2", b"0"]


def test_ties_stay_in_order_among_many_rows(tmp_path):
    lake, rows = Lake(tmp_path), 60_000
    settle(lake, journal(lake, [(n // 30_000, "f", "A", b"%d" % n) for n in range(rows)]))

    numbers = [
        int(body)
        for batch in read_socket(socket_files(lake, "f", DAY))
        for body in batch.column("message").to_pylist()
    ]

    assert numbers == list(range(rows))


def test_a_family_with_a_slash_is_a_folder_of_its_own(tmp_path):
    lake = Lake(tmp_path)
    settle(lake, journal(lake, [(1, "../odd", "c", b"x")]))

    assert len(socket_files(lake, "../odd", DAY)) == 1
    assert socket_folder(lake, "../odd").name == "family=..%2Fodd"


def test_an_empty_journal_leaves_nothing(tmp_path):
    lake = Lake(tmp_path)
    path = journal(lake)

    assert settle(lake, path).files == ()
    assert not path.exists()


rows = st.tuples(
    st.integers(0, 3 * HOUR), st.sampled_from("fgh"), st.sampled_from("ABC"), st.binary(max_size=9)
)


@settings(max_examples=40)
@given(st.lists(st.lists(rows, max_size=8), max_size=5), st.sampled_from([1, 200, 10**9]))
def test_whatever_the_pieces_no_message_is_lost_and_none_is_twice(
    tmp_path_factory, flushes, piece_bytes
):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    path = journal(lake, *flushes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "PIECE_BYTES", piece_bytes)
        patch.setattr(messages, "HELD_BYTES", 4 * piece_bytes)
        settle(lake, path)

    assert held(lake) == sorted(
        (family, f"{9 + at // HOUR:02}", channel, body)
        for flush in flushes
        for at, family, channel, body in flush
    )


def test_a_journal_is_settled_again_as_if_for_the_first_time(tmp_path):
    """Killed between its last file and the journal's end; and pieces were cut elsewhere then."""
    lake = Lake(tmp_path)
    path = journal(lake, *([(n, "f", "A", b"%d" % n * 50)] for n in range(9)))
    data = path.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "PIECE_BYTES", 1)
        assert len(settle(lake, path).files) == 9
    path.write_bytes(data)

    assert len(settle(lake, path).files) == 1
    assert len(held(lake)) == 9


def test_only_what_is_kept_of_a_thinned_family_is_settled(tmp_path):
    lake = Lake(tmp_path)
    flushes = [[(at, family, "A", b"%d" % at)] for at in (1, 2, MINUTE) for family in "fg"]

    settled = settle(lake, journal(lake, *flushes), {"f": last_a_minute})

    assert (settled.messages, settled.kept) == (6, 5)
    assert [body for family, *_, body in held(lake) if family == "f"] == [b"2", b"60000000"]


def test_the_last_of_each_channel_and_minute_is_kept():
    rows = (3, "A"), (1, "A"), (2, "B"), (MINUTE - 1, "B"), (MINUTE, "A"), (MINUTE, "A"), (0, "B")

    assert kept(tickers(*rows)) == [0, 3, 5]


def test_longer_stretches_keep_fewer_and_begin_where_the_clock_says():
    rows = (0, "A"), (4 * MINUTE, "A"), (5 * MINUTE, "A"), (9 * MINUTE, "B")

    assert last_each(tickers(*rows), 5)["message"].to_pylist() == [b"1", b"2", b"3"]


def test_nothing_of_nothing_is_kept():
    assert last_a_minute(SCHEMA.empty_table()).num_rows == 0


@given(
    st.lists(st.tuples(st.integers(0, 3 * MINUTE), st.sampled_from("ABC")), min_size=1),
    st.integers(0, 50),
)
def test_what_is_kept_of_parts_is_kept_of_the_whole(rows, cut):
    whole = tickers(*rows)
    parts = [last_a_minute(whole.slice(0, cut)), last_a_minute(whole.slice(cut))]

    assert kept(pa.concat_tables(parts)) == kept(whole)


def test_a_channel_is_read_without_the_row_groups_of_others(tmp_path):
    lake = Lake(tmp_path)
    rows = [(n, "f", f"c{n // 10_000}", b"%d" % n) for n in range(30_000)]
    (path,) = settle(lake, journal(lake, rows)).files
    data = bytearray(path.read_bytes())
    data[100] ^= 1  # in the first row group
    path.write_bytes(data)

    found = list(read_socket(path, ["c2"]))

    assert sum(batch.num_rows for batch in found) == 10_000
    with pytest.raises(CorruptFileError, match=path.name):
        list(read_socket(path))


def test_a_torn_tail_costs_what_was_not_on_disk_and_the_journal_is_gone(tmp_path):
    lake = Lake(tmp_path)
    path = journal(lake, [(1, "f", "A", b"1")], [(2, "f", "A", b"2")])
    path.write_bytes(path.read_bytes()[:-1])

    settled = settle(lake, path)

    assert (settled.messages, settled.damage.inside) == (1, 0)
    assert settled.damage.torn > 100
    assert not path.exists()


def test_a_journal_damaged_inside_is_settled_and_set_aside(tmp_path):
    lake = Lake(tmp_path)
    path = journal(lake, [(1, "f", "A", b"1")], [(2, "f", "A", b"2")])
    data = bytearray(path.read_bytes())
    (_, (place, _), _) = frames(bytes(data))
    data[place + 50] ^= 1
    path.write_bytes(data)

    settled = settle(lake, path)

    assert (settled.messages, settled.damage.torn) == (1, 0)
    aside = tmp_path / "quarantine/files/journal" / (path.name + ".corrupt")
    assert (aside.read_bytes(), journals(lake)) == (data, [])


def test_verify_reads_settled_messages_and_finds_a_damaged_one(tmp_path):
    lake = Lake(tmp_path)
    noise = np.random.default_rng(0).bytes(5_000)
    (path,) = settle(lake, journal(lake, [(1, "f", "A", noise)])).files
    journal(lake, [(1, "f", "A", b"in the journal")])
    assert list(verify(lake)) == []

    data = bytearray(path.read_bytes())
    data[data.index(noise[1_000:1_020])] ^= 1
    path.write_bytes(data)

    assert [fault.path for fault in verify(lake)] == [path]


def test_a_kill_at_any_moment_loses_no_message_and_doubles_none(tmp_path):
    """A process settles one journal after another, and is killed and started again."""
    lake = Lake(tmp_path)
    code = (
        "import sys; from pathlib import Path; from lake import messages;"
        "from lake.journal import journals; from lake.paths import Lake;"
        "lake = Lake(Path(sys.argv[1])); messages.PIECE_BYTES = 20_000; print(1, flush=True)\n"
        "for path in journals(lake): messages.settle(lake, path)"
    )
    sent = [(n * 40 * MINUTE, "fg"[n % 2], "A", b"%d" % n * 900) for n in range(400)]
    for start in range(0, 400, 20):
        journal(lake, sent[start : start + 10], sent[start + 10 : start + 20])
    expected = sorted(row["message"] for path in journals(lake) for batch in read_journal(path)
                      for row in batch.to_pylist())  # fmt: skip
    kills, most = 0, 0.2
    while journals(lake):
        with subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as settling:
            settling.stdout.readline()
            time.sleep(random.uniform(0.0, most))  # noqa: S311  (no secret)
            settling.kill()
        most *= 1.02  # in the end a slow machine gets there
        kills += settling.returncode != 0

    assert sorted(body for *_, body in held(lake)) == expected
    assert kills > 3
    assert list(lake.root.glob("raw/socket/**/*.tmp")) == []
