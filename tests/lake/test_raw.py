import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import raw
from lake.errors import CorruptFileError
from lake.raw import SMALL_BYTES, Attempt


def attempt(number, *, body=b"{}", fetched=None, outcome="ok"):
    return Attempt(
        attempt_id=f"{number:04}",
        fetched_at=number if fetched is None else fetched,
        host="https://sim",
        params="{}",
        window_start=0,
        window_end=60_000_000,
        outcome=outcome,
        body=body,
    )


def staged(folder, *attempts):
    for one in attempts:
        raw.stage([one], folder)
    return folder


def ids(folder):
    return raw.read(folder)["attempt_id"].to_pylist()


def bytes_of(size):
    """Bytes that do not compress."""
    return np.random.default_rng(0).bytes(size)


def bodies(folder):
    return dict(raw.bodies(folder))


def test_an_attempt_reads_back_as_it_was_staged(tmp_path):
    sent = attempt(7, body=bytes(range(256)), outcome="HTTP 502")

    staged(tmp_path, sent)

    row = raw.read(tmp_path).to_pylist()[0]
    assert (row["attempt_id"], row["outcome"], row["http_status"]) == ("0007", "HTTP 502", None)
    assert raw.read(tmp_path)["fetched_at"].cast(pa.int64()).to_pylist() == [7]
    assert bodies(tmp_path) == {"0007": sent.body}


def test_an_empty_body_is_not_the_same_as_none(tmp_path):
    staged(tmp_path, attempt(1, body=b""), attempt(2, body=None))

    assert ids(tmp_path) == ["0001", "0002"]
    assert bodies(tmp_path) == {"0001": b""}


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path):
    assert raw.segments(tmp_path / "no") == ()
    assert raw.read(tmp_path / "no").num_rows == 0
    assert bodies(tmp_path / "no") == {}


def test_attempts_come_in_the_order_they_were_fetched(tmp_path):
    staged(tmp_path, attempt(3), attempt(1), attempt(2, fetched=9))

    assert ids(tmp_path) == ["0001", "0003", "0002"]


@settings(max_examples=25)  # every attempt is a file that is synced
@given(st.lists(st.integers(0, 50), unique=True, max_size=12), st.integers(1, 4))
def test_every_attempt_survives_any_number_of_merges(tmp_path_factory, numbers, every):
    folder = tmp_path_factory.mktemp("raw")

    for count, number in enumerate(numbers, start=1):
        raw.stage([attempt(number, body=b"%d" % number)], folder)
        if count % every == 0:
            raw.merge(folder, at_least=2)

    assert ids(folder) == [f"{number:04}" for number in sorted(numbers)]
    assert bodies(folder) == {f"{number:04}": b"%d" % number for number in numbers}


def test_a_merge_leaves_one_segment(tmp_path):
    staged(tmp_path, *map(attempt, range(9)))

    raw.merge(tmp_path)

    assert len(raw.segments(tmp_path)) == 1


def test_few_segments_are_not_merged(tmp_path):
    staged(tmp_path, *map(attempt, range(3)))

    raw.merge(tmp_path)

    assert len(raw.segments(tmp_path)) == 3


def test_a_large_segment_stays_as_it_is(tmp_path):
    noise = bytes_of(SMALL_BYTES + 1)
    large = raw.stage([attempt(0, body=noise)], tmp_path)
    before = large.stat().st_ino
    staged(tmp_path, *map(attempt, range(1, 10)))

    raw.merge(tmp_path)

    assert (len(raw.segments(tmp_path)), large.stat().st_ino) == (2, before)


def test_a_merge_killed_between_its_steps_leaves_attempts_that_count_once(tmp_path):
    """The merged segment was published and the small ones were not removed yet."""
    staged(tmp_path, *map(attempt, range(3)))
    small = {name: (tmp_path / name).read_bytes() for name in raw.segments(tmp_path)}
    raw.merge(tmp_path, at_least=2)

    for name, data in list(small.items())[1:]:
        (tmp_path / name).write_bytes(data)

    assert ids(tmp_path) == ["0000", "0001", "0002"]
    assert len(list(raw.bodies(tmp_path))) == 3
    raw.merge(tmp_path, at_least=2)
    assert len(raw.segments(tmp_path)) == 1
    assert ids(tmp_path) == ["0000", "0001", "0002"]


def test_a_merge_that_fails_keeps_every_segment(tmp_path):
    staged(tmp_path, *map(attempt, range(3)))
    torn = tmp_path / raw.segments(tmp_path)[1]
    torn.write_bytes(torn.read_bytes()[:-10])
    before = raw.segments(tmp_path)

    with pytest.raises(CorruptFileError, match=torn.name):
        raw.merge(tmp_path, at_least=2)

    assert raw.segments(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(before)


def test_merges_lose_nothing_while_others_stage(tmp_path):
    def work(first):
        staged(tmp_path, *map(attempt, range(first, first + 40)))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 40, 80)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        raw.merge(tmp_path, at_least=4)
    raw.merge(tmp_path, at_least=2)

    assert ids(tmp_path) == [f"{number:04}" for number in range(120)]
    assert len(raw.segments(tmp_path)) == 1


@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda _: b"", lambda _: b"PAR1" * 9])
def test_a_torn_segment_is_named(tmp_path, damage):
    path = raw.stage([attempt(1)], tmp_path)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(CorruptFileError, match=path.name):
        raw.read(tmp_path)
    with pytest.raises(CorruptFileError, match=path.name):
        list(raw.bodies(tmp_path))


def test_a_segment_damaged_inside_its_body_is_named(tmp_path):
    noise = bytes_of(50_000)
    path = raw.stage([attempt(1, body=noise)], tmp_path)
    data = bytearray(path.read_bytes())
    data[40:60] = bytes(20)
    path.write_bytes(bytes(data))

    with pytest.raises(CorruptFileError, match=path.name):
        list(raw.bodies(tmp_path))


def test_temporary_files_are_never_read(tmp_path):
    staged(tmp_path, attempt(1))
    (tmp_path / "2-x.parquet.tmp").write_bytes(b"half")

    assert ids(tmp_path) == ["0001"]


def test_any_flipped_bit_of_a_body_is_noticed(tmp_path):
    path = raw.stage([attempt(1, body=bytes_of(5_000))], tmp_path)
    whole = path.read_bytes()
    start = whole.index(bytes_of(5_000)[1_000:1_020])

    for place in range(start, start + 20):
        data = bytearray(whole)
        data[place] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(CorruptFileError, match=path.name):
            list(raw.bodies(tmp_path))
