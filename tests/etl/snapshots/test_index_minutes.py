"""Minutes of an index: what is made of its ticks, what is set aside, and the same twice."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from etl.check.status import statuses
from etl.compute.index_prices import INDEX_PRICES
from etl.compute.run import compute
from etl.instruments.lists import staged_listing
from etl.pipeline import derive
from etl.progress import LogProgress
from etl.snapshots.index_minutes import fold, is_folded, refresh, refresh_all, segments, staged
from lake.errors import CorruptFileError
from lake.partition import Partition
from lake.paths import open_lake
from lake.read import scan
from lake.verify import verify
from tests.etl.snapshots.heard import hear

START = int(datetime(2026, 3, 14, 9, tzinfo=UTC).timestamp() * 1000)
MINUTE, HOUR = 60_000, 3_600_000
FAMILY, INDEX = "deribit_price_index", "btc_usd"
PARTITION = Partition("index_minutes", INDEX, "2026-03")


@pytest.fixture
def lake(tmp_path):
    return open_lake(tmp_path, create=True)


def tick(ms, price, *, late=20, index=INDEX, **members):
    """A price of `ms` after nine, heard `late` ms later."""
    data = {"index_name": index, "price": price, "timestamp": START + ms, **members}
    return (START + ms + late, f"{FAMILY}.{index}", data)


def folded(lake, *ticks):
    if ticks:
        hear(lake, FAMILY, *ticks)
    content = fold(lake, PARTITION)
    return pl.DataFrame(content.rows), pl.DataFrame(content.rejected)


def at(ms):
    return datetime.fromtimestamp((START + ms) / 1000, UTC)


def test_a_minute_has_the_first_highest_lowest_and_last_tick_of_its_own(lake):
    told = [(0, 10.0), (1_000, 12.0), (2_000, 9.0), (59_999, 11.0), (MINUTE, 13.0)]

    kept, aside = folded(lake, *(tick(*one) for one in told))

    assert aside.is_empty()
    assert kept.rows() == [
        (at(0), INDEX, 10.0, 12.0, 9.0, 11.0, 4, at(59_999)),
        (at(MINUTE), INDEX, 13.0, 13.0, 13.0, 13.0, 1, at(MINUTE)),
    ]


def test_a_tick_is_of_the_minute_it_says_whenever_it_was_heard(lake):
    kept, _ = folded(lake, tick(0, 1.0), tick(HOUR - 10, 2.0), tick(HOUR, 3.0), tick(59_990, 4.0))

    assert kept["timestamp"].to_list() == [at(0), at(HOUR - MINUTE), at(HOUR)]
    assert kept["close"].to_list() == [4.0, 2.0, 3.0]


def test_one_tick_heard_over_two_connections_is_one(lake):
    hear(lake, FAMILY, tick(0, 1.0), connection=1)

    kept, _ = folded(lake, tick(0, 1.0, late=90), tick(1_000, 2.0))

    assert kept.select("open", "close", "ticks").rows() == [(1.0, 2.0, 2)]


def test_ticks_of_other_indices_are_no_ticks_of_this_one(lake):
    kept, aside = folded(lake, tick(0, 1.0), tick(1, 9.0, index="eth_usd"))

    assert (kept["high"].to_list(), len(aside)) == ([1.0], 0)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (tick(500, "12"), "message:unreadable"),
        (tick(500, None), "message:unreadable"),
        ((START + 500, f"{FAMILY}.{INDEX}", b"{no JSON"), "message:unreadable"),
        ((START + 500, f"{FAMILY}.{INDEX}", b"{}"), "message:unreadable"),
        (tick(500, 0.0), "price:positive"),
        (tick(500, -1.0), "price:positive"),
        (tick(500, 5.0, index_name="eth_usd"), "instrument:other_index"),
        (tick(500, 5.0, late=60_001), "closed_at:other_instant"),
        (tick(500 + 2 * MINUTE, 5.0, late=-60_001), "closed_at:other_instant"),
    ],
)  # fmt: skip
def test_a_tick_that_is_not_believed_is_set_aside_and_takes_no_other_with_it(lake, odd, reason):
    kept, aside = folded(lake, tick(0, 1.0), odd, tick(1_000, 2.0))

    assert kept.select("open", "high", "close", "ticks").rows() == [(1.0, 2.0, 2.0, 2)]
    assert aside["failed_check"].to_list() == [reason]
    assert aside["attempt_id"].str.contains(r"^\d+-0$").to_list() == [True]


def test_numbers_may_come_in_exponent_form_and_as_whole_ones(lake):
    body = b'{"params":{"data":{"index_name":"btc_usd","price":6e4,"timestamp":%r}}}' % (
        float(START)
    )

    kept, _ = folded(lake, (START + 5, f"{FAMILY}.{INDEX}", body))

    assert kept.select("timestamp", "close").rows() == [(at(0), 60_000.0)]


def test_a_month_ends_with_ticks_that_were_heard_in_the_next(lake):
    end = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp() * 1000) - START
    hear(lake, FAMILY, tick(end - 500, 1.0), tick(end - 5, 2.0), tick(end, 3.0))

    march, april = (fold(lake, Partition("index_minutes", INDEX, f"2026-0{n}")) for n in (3, 4))

    assert march.rows["close"].to_pylist() == [2.0]
    assert april.rows["close"].to_pylist() == [3.0]


@pytest.mark.parametrize("seed", range(6))
def test_folded_as_it_comes_or_all_at_once_the_same_bytes_come_out(lake, seed):
    dice = random.Random(seed)  # noqa: S311  (prices, not secrets)
    for _ in range(8):
        start = dice.choice([0, HOUR - 500, HOUR, 3 * HOUR, 30 * HOUR])
        told = [
            tick(
                start + dice.randrange(3_000),
                dice.choice([1.0, 2.0, -1.0]),
                late=dice.randrange(900),
            )
            for _ in range(4)
        ]
        hear(lake, FAMILY, *told)
        record = refresh(lake, PARTITION)
    paths = [lake.clean(PARTITION), lake.quarantine(PARTITION), lake.ledger(PARTITION)]
    held = [path.read_bytes() if path.exists() else None for path in paths]

    assert refresh(lake, PARTITION, anew=True) == record
    assert [path.read_bytes() if path.exists() else None for path in paths] == held
    assert record.rows >= 2


def test_a_line_that_cannot_be_read_is_mended_by_a_rebuild(lake):
    hear(lake, FAMILY, tick(0, 1.0))
    record = refresh(lake, PARTITION)
    lake.ledger(PARTITION).write_bytes(b"no line")

    assert list(staged(lake)) == [PARTITION]
    assert refresh(lake, PARTITION, anew=True) == record


def test_hours_that_are_folded_are_not_read_again(lake):
    (path,) = hear(lake, FAMILY, tick(0, 1.0)).files
    refresh(lake, PARTITION)
    path.write_bytes(b"no longer Parquet")
    hear(lake, FAMILY, tick(3 * HOUR, 2.0))

    assert refresh(lake, PARTITION).rows == 2
    with pytest.raises(CorruptFileError):
        refresh(lake, PARTITION, anew=True)


def test_every_index_that_was_heard_is_staged_and_vouched_for_once_folded(lake):
    hear(lake, FAMILY, tick(0, 1.0), tick(0, 1.0, index="eth_usd"))
    found = list(staged(lake))
    assert [str(one) for one in found] == [
        "index_minutes btc_usd 2026-03",
        "index_minutes eth_usd 2026-03",
    ]
    assert [one.verdict for one in statuses(lake, "index_minutes")] == ["UNKNOWN", "UNKNOWN"]

    refresh(lake, found[0])
    assert list(staged(lake)) == found
    refresh(lake, found[1])

    assert list(staged(lake)) == found
    assert [one.verdict for one in statuses(lake, "index_minutes")] == ["COMPLETE", "COMPLETE"]
    assert list(verify(lake)) == []


def test_all_that_is_staged_is_folded_once(lake):
    hear(lake, FAMILY, tick(0, 1.0), tick(0, 1.0, index="eth_usd"))

    assert [(one.part, record.rows) for one, record in refresh_all(lake)] == [
        (INDEX, 1),
        ("eth_usd", 1),
    ]
    assert refresh_all(lake) == []


def test_what_is_heard_since_makes_a_line_old(lake):
    hear(lake, FAMILY, tick(0, 1.0))
    record = refresh(lake, PARTITION)
    assert is_folded(record, segments(lake, PARTITION))

    hear(lake, FAMILY, tick(1, 1.0))

    assert not is_folded(record, segments(lake, PARTITION))
    (status,) = statuses(lake, "index_minutes")
    assert (status.verdict, "newer than the ledger" in status.why) == ("UNKNOWN", True)


def prices(lake):
    compute(lake, INDEX_PRICES, staged_listing(lake), LogProgress())
    rows = scan(lake, "index_prices").sort("timestamp").collect()
    return rows.select("timestamp", "price", "source").rows()


def test_the_last_tick_before_a_full_minute_is_the_price_at_it_unless_it_is_old(lake):
    hear(lake, FAMILY, tick(55_000, 1.0), tick(2 * MINUTE - 5_001, 2.0), tick(2 * MINUTE, 3.0))
    refresh(lake, PARTITION)

    assert prices(lake) == [(at(MINUTE), 1.0, "socket")]


def test_the_first_price_of_a_year_may_be_heard_in_the_year_before(lake):
    end = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000) - START
    hear(lake, FAMILY, tick(end - 100, 7.0))
    refresh(lake, Partition("index_minutes", INDEX, "2026-12"))

    assert prices(lake) == [(at(end), 7.0, "socket")]
    assert [one.period for one in lake.partitions("index_prices")] == ["2027"]


def test_index_prices_follow_what_was_heard(lake):
    hear(lake, FAMILY, tick(59_000, 1.0))
    refresh(lake, PARTITION)
    derive(lake, ["index_minutes"], LogProgress())

    assert prices(lake) == [(at(0) + timedelta(minutes=1), 1.0, "socket")]
    assert [one.verdict for one in statuses(lake, "index_prices")] == ["COMPLETE"]
