"""The history of instruments: renames, relistings, changes and lists that shrink."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.instruments import table
from etl.instruments.history import History, ListAnswer, fold, notes, vanished
from etl.instruments.lists import ever_settled, staged_listing
from etl.instruments.table import at, diff, to_frame
from lake import raw
from lake.paths import open_lake
from tests.exchange.exponents import in_exponent_form
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
    dead = living | {"is_active": False, "state": "archivized"}

    folded = fold(History(), [answer(0, living), answer(1), answer(1, dead, expired=True)])

    assert vanished(folded) == []
    assert [row["state"] for row in to_frame(folded).to_dicts()] == ["open", "archivized"]


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


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (record(None, "B"), "it has no instrument_id"),
        (record("7", "B"), "instrument_id: Expected `int | null`, got `str`"),
        (record(1.5, "B"), "instrument_id: Expected `int | null`, got `float`"),
        (record(2, "B", creation_timestamp=None), "creation_timestamp: Expected `int`, got `null`"),
        (record(2, "B", creation_timestamp="x"), "creation_timestamp: Expected `int`, got `str`"),
        (record(2, "B", expiration_timestamp=-1), "expiration_timestamp: Expected `int` >= 0"),
        (record(2, "B", tick_size=None), "tick_size: Expected `float`, got `null`"),
        (record(2, "B", tick_size=0), "tick_size: Expected `float` > 0.0"),
        (record(2, "B", strike="x"), "strike: Expected `float | null`, got `str`"),
        (record(2, "B", is_active=1.5), "is_active: Expected `bool | null`, got `float`"),
        (record(2, "B", expiration_timestamp=1), "it expires (1) before it is listed"),
        (record(2, "B", x="a\0"), "a member has a NUL, which no database takes"),
        (record(1, "B"), "instrument_id 1 comes twice"),
    ],
)  # fmt: skip
def test_an_odd_record_is_set_aside_by_name_and_the_rest_is_folded(odd, why):
    folded = fold(History(), [answer(0, record(1, "A"), odd, record(3, "C"))])

    assert to_frame(folded)["instrument"].to_list() == ["A", "C"]
    assert notes(folded) == [f"B in the list future any living is set aside: {why}"]


@pytest.mark.parametrize("odd", [None, 5, "B", [], {}, {"instrument_name": 5}, record(2, "../B")])
def test_what_is_no_record_at_all_is_set_aside(odd):
    folded = fold(History(), [answer(0, record(1, "A"), odd)])

    assert to_frame(folded)["instrument"].to_list() == ["A"]
    assert len(notes(folded)) == 1


floats = st.floats(allow_nan=False, allow_infinity=False)
odd_records = st.one_of(
    st.none(), st.integers(), st.text(), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(sorted(record(9, "Z"))), st.none() | st.text() | floats
                    | st.booleans() | st.lists(st.none()), max_size=10),
    st.builds(lambda name, value: record(9, "Z") | {name: value},
              st.sampled_from(["instrument_id", "instrument_name", "kind", "creation_timestamp",
                               "tick_size"]),
              st.none() | st.just("x/\0") | st.lists(st.none()) | st.booleans()),
)  # fmt: skip


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 5), odd_records), max_size=6))
def test_odd_records_anywhere_take_no_other_with_them(sane, odd):
    expected = [f"I{number}" for number in range(sane)]
    records = [record(number, name) for number, name in enumerate(expected)]
    for place, each in odd:
        records.insert(place, each)
    folded = fold(History(), [answer(0, *records)])

    frame = to_frame(folded)
    check(frame, Instruments)
    assert [name for name in frame["instrument"] if name in expected] == expected
    assert len(folded.aside) + len(folded.intervals) == len(records)


def test_what_was_staged_with_odd_records_can_be_read_by_all_who_read_it(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)
    stage(lake, answer(0, None, record(1, "A"), record("x", "B"), record(3, "C", kind=None)))
    stage(lake, answer(1, record(1, "A", tick_size="1"), expired=True))

    table.refold(lake)
    content = lake.clean(table.PARTITION).read_bytes()

    assert [one.odd.name for one in table.refold(lake, whole=True).aside] == ["null", "B", "C", "A"]
    assert lake.clean(table.PARTITION).read_bytes() == content
    assert list(staged_listing(lake).instruments) == ["A"]
    assert ever_settled(lake) == ["BTC", "SOL"]


def test_what_the_list_has_and_cannot_be_used_has_not_vanished():
    sane, odd = record(1, "A"), record(1, "A", tick_size=None)

    assert vanished(fold(History(), [answer(0, sane), answer(1, odd)])) == []
    assert vanished(fold(History(), [answer(0, sane), answer(1, odd), answer(2)])) == ["A"]


def test_a_clock_that_goes_back_makes_no_interval_that_ends_before_it_begins():
    answers = [answer(5, record(1, "A")), answer(2, record(1, "A", tick_size=1.0)),
               answer(2, record(1, "A"))]  # fmt: skip
    frame = to_frame(fold(History(), answers))

    check(frame, Instruments)
    assert (frame["valid_from"] < frame["valid_to"].fill_null(day(99))).all()


def test_the_same_number_in_another_form_is_no_change():
    said = json.dumps({"usOut": 0, "result": [record(1, "A")]}).encode()
    written = replace(answer(1), body=in_exponent_form(said))

    (row,) = rows(answer(0, record(1, "A")), written)
    assert row["expiration_timestamp"] == record(1, "A")["expiration_timestamp"]


def test_what_no_dataset_has_is_kept_and_told():
    spot = record(1, "BTC_USDC", kind="spot", is_cbe_routed=True)
    folded = fold(History(), [answer(0, spot, record(2, "X", kind="warrant", state="dozing"))])

    assert to_frame(folded)["kind"].to_list() == ["spot", "warrant"]
    assert notes(folded) == [
        "1 is of a kind this version does not know: 'warrant'",
        "1 is traded on Coinbase: Deribit has no trades and no candles of it",
    ]
