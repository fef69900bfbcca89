"""Records come back as they were added, in whatever order they are asked for."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from etl.instruments.records import BLOCK_RECORDS, Records

some_records = st.lists(st.binary(max_size=20), max_size=3 * BLOCK_RECORDS)


@given(some_records, st.randoms())
def test_every_record_comes_back(added, random):
    records = Records()
    numbers = [records.add(one) for one in added]
    order = random.sample(numbers, len(numbers))

    assert [records[number] for number in order] == [added[number] for number in order]
    assert len(records) == len(added)


def test_records_that_are_alike_take_little_memory():
    tracemalloc.start()
    records = Records()
    for number in range(50 * BLOCK_RECORDS):
        records.add(b'{"instrument_name":"BTC-27DEC24-%d-C","kind":"option"}' % number)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 25 * len(records)
