"""The history of instruments: renames, relistings, changes and lists that shrink."""

import json
import random
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.instruments import table
from etl.instruments.history import History, ListAnswer, fold, vanished
from etl.instruments.table import at, diff, to_frame
from lake import raw
from lake.paths import open_lake
from validators.contract import check
from validators.schemas.instruments import Instruments

DAY_US = 86_400_000_000
START_US = 1_700_000_000_000_000


def record(id_, name, **more):
    base = {
        "instrument_id": id_,
        "instrument_name": name,
        "kind": "future",
        "creation_timestamp": START_US // 1000 - 86_400_000,
        "expiration_timestamp": START_US // 1000 + 100 * 86_400_000,
        "tick_size": 0.5,
        "settlement_currency": "BTC",
        "settlement_period": "month",
        "is_active": True,
        "state": "open",
    }
    return base | more


def answer(day, *records, expired=False, kind="future"):
    body = json.dumps({"jsonrpc": "2.0", "usOut": day, "result": records}).encode()
    return ListAnswer(kind, "BTC" if expired else "any", expired, START_US + day * DAY_US, body)


def rows(*answers):
    return to_frame(fold(History(), answers)).to_dicts()


def day(number):
    return datetime.fromtimestamp((START_US + number * DAY_US) / 1e6, UTC)


def test_what_stays_the_same_is_one_interval_from_its_listing():
    (row,) = rows(answer(0, record(1, "A")), answer(3, record(1, "A")))

    assert row["valid_from"] == day(-1)
    assert row["valid_to"] is None
    assert (row["first_seen"], row["last_seen"]) == (day(0), day(3))


def test_the_order_of_members_is_no_change():
    shuffled = dict(reversed(record(1, "A").items()))

    assert len(rows(answer(0, record(1, "A")), answer(1, shuffled))) == 1


def test_a_changed_tick_size_begins_an_interval_when_it_was_seen():
    first, second = rows(answer(0, record(1, "A")), answer(2, record(1, "A", tick_size=2.5)))

    assert (first["valid_to"], second["valid_from"]) == (day(2), day(2))
    assert (first["tick_size"], second["tick_size"]) == (0.5, 2.5)
    assert second["valid_to"] is None


def test_a_member_nobody_knows_is_kept_and_its_change_is_history():
    first, second = rows(answer(0, record(1, "A", new=1)), answer(1, record(1, "A", new=2)))

    assert json.loads(first["record"])["new"] == 1
    assert json.loads(second["record"])["new"] == 2


def test_a_rename_is_one_instrument_with_two_names_in_turn():
    first, second = rows(answer(0, record(1, "A")), answer(1, record(1, "B")))

    assert [row["instrument_id"] for row in (first, second)] == [1, 1]
    assert (first["instrument"], second["instrument"]) == ("A", "B")
    assert first["valid_to"] == second["valid_from"] == day(1)


def test_a_relisting_under_the_same_name_ends_the_first():
    later = START_US // 1000 + 5 * 86_400_000
    first, second = rows(
        answer(0, record(1, "A")), answer(6, record(2, "A", creation_timestamp=later))
    )

    assert first["valid_to"] == second["valid_from"] == day(5)


def test_an_instrument_that_a_list_loses_is_kept_and_named():
    folded = fold(History(), [answer(0, record(1, "A"), record(2, "B")), answer(1, record(1, "A"))])

    assert [row["instrument"] for row in to_frame(folded).to_dicts()] == ["A", "B"]
    assert vanished(folded) == ["B"]


def test_rows_are_sorted_by_the_key_of_the_dataset():
    answers = (answer(0, record(2, "B"), record(1, "A")), answer(1, record(1, "A2")))
    frame = to_frame(fold(History(), answers))

    check(frame, Instruments)
    assert frame["instrument_id"].to_list() == [1, 1, 2]


def test_an_empty_list_loses_everything_it_had_and_deletes_nothing():
    folded = fold(History(), [answer(0, record(1, "A"), expired=True), answer(1, expired=True)])

    assert vanished(folded) == ["A"]
    assert len(to_frame(folded)) == 1


def test_what_comes_back_has_not_vanished():
    listed = record(1, "A")
    assert vanished(fold(History(), [answer(0, listed), answer(1), answer(2, listed)])) == []


def test_an_expired_one_leaves_the_living_and_is_not_missed():
    soon = START_US // 1000 + 86_400_000 // 2
    living = record(1, "A", expiration_timestamp=soon)
    dead = living | {"is_active": False, "state": "closed"}

    folded = fold(History(), [answer(0, living), answer(1), answer(1, dead, expired=True)])

    assert vanished(folded) == []
    assert [row["state"] for row in to_frame(folded).to_dicts()] == ["open", "closed"]


def test_moments_and_differences_are_of_the_intervals():
    frame = to_frame(
        fold(
            History(),
            [
                answer(
                    0,
                    record(1, "A"),
                    record(2, "B", expiration_timestamp=START_US // 1000 + 2 * 86_400_000),
                ),
                answer(
                    3,
                    record(1, "A", tick_size=1.0),
                    record(3, "C", creation_timestamp=START_US // 1000 + 86_400_000),
                ),
            ],
        )
    ).lazy()
    early, late = (pl.lit(day(number)).cast(pl.Datetime("us", "UTC")) for number in (0, 4))

    changes = diff(frame, early, late).collect()

    assert at(frame, early).collect()["instrument"].to_list() == ["A", "B"]
    assert at(frame, late).collect()["instrument"].to_list() == ["A", "C"]
    assert list(zip(changes["change"], changes["instrument"], strict=True)) == [
        ("changed", "A"), ("gone", "B"), ("listed", "C"),
    ]  # fmt: skip


lists = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(
            st.builds(
                record, st.integers(1, 4), st.sampled_from("AB"),
                tick_size=st.sampled_from([1.0, 2.0]),
            ),
            max_size=4, unique_by=lambda one: one["instrument_id"],
        ),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@given(lists, st.integers(0, 6))
def test_folding_in_two_parts_through_a_file_is_folding_at_once(tmp_path_factory, lists, cut):
    answers = [answer(n, *found, expired=dead) for n, (dead, found) in enumerate(lists)]
    lake = open_lake(tmp_path_factory.mktemp("history") / "lake", create=True)
    for part in (answers[:cut], answers[cut:]):
        for each in part:
            stage(lake, each)
        table.refold(lake)
    parts = lake.clean(table.PARTITION).read_bytes()

    table.refold(lake, whole=True)

    assert lake.clean(table.PARTITION).read_bytes() == parts
    assert to_frame(table.read(lake)).equals(to_frame(fold(History(), answers)))


@given(lists)
def test_at_no_moment_has_an_id_two_records_or_a_name_two_instruments(lists):
    answers = [answer(n, *found, expired=dead) for n, (dead, found) in enumerate(lists)]
    frame = to_frame(fold(History(), answers)).lazy()

    for number in range(-2, 8):
        held = at(frame, pl.lit(day(number)).cast(pl.Datetime("us", "UTC"))).collect()
        assert held["instrument_id"].is_unique().all()


def stage(lake, one):
    keys = {"currency": one.currency, "kind": one.kind}
    if one.is_expired:
        keys = {"kind": one.kind, "expired": "true", "currency": one.currency}
    attempt = raw.Attempt(
        attempt_id=f"{one.heard_us}-{random.getrandbits(32):08x}",
        fetched_at=one.heard_us, host="http://test", params="{}", window_start=0, window_end=0,
        outcome="ok", http_status=200, us_in=one.heard_us, us_out=one.heard_us, body=one.body,
    )  # fmt: skip
    raw.stage([attempt], lake.raw("get_instruments", **keys))


def test_nothing_staged_is_an_empty_history(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)

    assert table.refold(lake).intervals == {}
    assert pl.read_parquet(lake.clean(table.PARTITION)).is_empty()


def test_a_record_without_an_id_is_refused():
    with pytest.raises(Exception, match="instrument_id"):
        fold(History(), [answer(0, {"instrument_name": "A"})])
