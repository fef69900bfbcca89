from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.proof import grid as plan
from etl.proof.grid import Grid
from etl.proof.protocol import Answer, Due
from etl.proof.witnesses import RECHECK_MS, Facts, extend, find_gaps, missing
from lake.ledger import Gap, Record
from lake.span import Span

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LISTED = 20_000 * DAY
GRID = Grid(MINUTE, (0,), MINUTE)
PAGE = 6
AGE = {"old": 3 * DAY, "young": 10 * MINUTE}


def at(minute):
    return LISTED + minute * MINUTE


def span(start, end):
    return Span(at(start), at(end))


def ticks(minutes):
    return np.array(sorted(at(minute) for minute in minutes), dtype=np.int64)


FAR = at(1_000_000)


def facts(*, now=FAR, confirm_after=0, outages=(), life=None, grid=GRID):
    def documented(hole):
        inside = (o for o in outages if o.start_ms <= hole.start_ms and hole.end_ms <= o.end_ms)
        return next((f"source {one.start_ms}" for one in inside), None)

    return Facts(grid, life or Span(LISTED, 2**53), now, confirm_after, documented)


def gaps(wanted, minutes, answers, *, rejected=(), **given_facts):
    return find_gaps([wanted], ticks(minutes), ticks(rejected), answers, facts(**given_facts))


def answer(start, end, minutes=None, *, fetched=0, **what):
    """What an answer that sent `minutes` says; None: none came."""
    if minutes is None:
        return Answer(span(start, end), fetched, is_ok=False)
    first, last = (at(min(minutes)), at(max(minutes))) if minutes else (None, None)
    return Answer(span(start, end), fetched, is_ok=True, first_ms=first, last_ms=last, **what)


def brief(found):
    """Gaps as (first minute, end, reason, seen)."""
    return [
        ((gap.start_ms - LISTED) // MINUTE, (gap.end_ms - LISTED) // MINUTE, gap.reason, gap.seen)
        for gap in found
    ]


def test_what_was_never_asked_is_not_asked():
    assert brief(gaps(span(0, 9), [], [])) == [(0, 9, "not_asked", 0)]


def test_what_nobody_answered_has_no_answer():
    assert brief(gaps(span(0, 9), [], [answer(0, 9)])) == [(0, 9, "no_answer", 0)]


def test_a_page_cut_at_its_end_is_truncated():
    found = gaps(span(0, 9), range(5), [answer(0, 9, range(5))], now=at(20))

    assert brief(found) == [(5, 9, "truncated", 0)]


def test_a_page_cut_at_its_start_is_truncated_where_rows_came_before():
    answers = [answer(0, 5, range(5)), answer(5, 9, [7, 8])]

    assert brief(gaps(span(0, 9), [*range(5), 7, 8], answers)) == [(5, 7, "truncated", 0)]


def test_a_hole_between_rows_that_came_is_unexplained_until_it_is_seen_twice():
    look = answer(0, 5, [0, 1, 3, 4])

    assert brief(gaps(span(0, 5), [0, 1, 3, 4], [look])) == [(2, 3, "unexplained", 1)]
    assert brief(gaps(span(0, 5), [0, 1, 3, 4], [look, look])) == [(2, 3, "absent", 2)]


def test_two_looks_at_a_hole_nothing_explains_must_lie_apart():
    looks = [answer(0, 3, [0, 2], fetched=MINUTE), answer(0, 3, [0, 2], fetched=2 * MINUTE)]

    (soon,) = gaps(span(0, 3), [0, 2], looks, confirm_after=MINUTE + 1)
    (late,) = gaps(span(0, 3), [0, 2], looks, confirm_after=MINUTE)

    assert (soon.reason, soon.seen, soon.retry_at_ms) == ("unexplained", 2, 2 * MINUTE + 1)
    assert late.reason == "absent"


@pytest.mark.parametrize(
    ("hole", "apart"), [(60, 10 * MINUTE), (61, 61 * MINUTE), (5 * 1_440, 2 * DAY)]
)
def test_looks_at_a_long_hole_lie_as_far_apart_as_it_is_long_two_days_at_most(hole, apart):
    def judged(between):
        held = [0, hole + 1]
        looks = [answer(0, hole + 2, held, fetched=fetched) for fetched in (0, between)]
        (gap,) = gaps(span(0, hole + 2), held, looks, confirm_after=10 * MINUTE)
        return gap.reason, gap.retry_at_ms

    assert judged(apart - 1) == ("unexplained", apart)
    assert judged(apart)[0] == "absent"


@pytest.mark.parametrize(
    ("first", "reason"), [(7 * 1_440, "before_first_trade"), (7 * 1_440 + 1, "unexplained")]
)
def test_a_week_before_the_first_trade_settles_at_once_and_more_does_not(first, reason):
    looks = [answer(0, first + 2, [first, first + 1])] * 2

    (gap,) = gaps(span(0, first + 2), [first, first + 1], looks)

    assert (gap.reason, gap.seen) == (reason, 2)


@pytest.mark.parametrize(
    ("hole", "apart", "again"),
    [
        (2, 0, DAY),
        (2, 3 * DAY, 6 * DAY),
        (2, 30 * DAY, None),
    ],
)
def test_what_is_absent_is_looked_at_again_at_growing_distances_for_a_month(hole, apart, again):
    held = [0, hole]
    looks = [answer(0, hole + 1, held, fetched=fetched) for fetched in (0, apart)]

    (gap,) = gaps(span(0, hole + 1), held, looks)

    assert (gap.reason, gap.retry_at_ms) == ("absent", again)


@pytest.mark.parametrize(("apart", "again"), [(0, DAY), (DAY, None)])
def test_a_short_time_before_the_first_trade_is_looked_at_once_more(apart, again):
    looks = [answer(0, 5, [3, 4], fetched=fetched) for fetched in (0, apart)]

    (gap,) = gaps(span(0, 5), [3, 4], looks)

    assert (gap.reason, gap.retry_at_ms) == ("before_first_trade", again)


def test_a_full_page_may_have_been_cut_at_its_start_and_shows_nothing_there():
    looks = [answer(0, 9, [7, 8], is_full=True)] * 2

    assert brief(gaps(span(0, 9), [7, 8], looks)) == [(0, 7, "truncated", 0)]


def test_rows_in_doubt_are_asked_for_at_once_until_six_answers_had_them():
    def retry(count):
        looks = [answer(0, 3, range(3), fetched=MINUTE)] * count
        (gap,) = find_gaps(
            [span(0, 3)], ticks([0, 2]), ticks([]), looks, facts(), doubted=ticks([1])
        )
        return gap.reason, gap.retry_at_ms

    assert retry(5) == ("quarantined", None)
    assert retry(6) == ("quarantined", MINUTE + RECHECK_MS)


def test_a_documented_hole_is_final_at_the_second_look():
    looks = [answer(0, 3, [0, 2])] * 2

    (gap,) = gaps(span(0, 3), [0, 2], looks, confirm_after=DAY, outages=[span(0, 3)])

    assert (gap.reason, gap.source) == ("outage", f"source {LISTED}")


def test_a_documented_hole_is_not_final_at_the_first_look():
    (gap,) = gaps(span(0, 3), [0, 2], [answer(0, 3, [0, 2])], outages=[span(0, 3)])

    assert (gap.reason, gap.seen, gap.source) == ("unexplained", 1, None)


def test_a_hole_longer_than_its_outage_is_not_explained_by_it():
    looks = [answer(0, 5, [0, 4])] * 2

    assert brief(gaps(span(0, 5), [0, 4], looks, outages=[span(0, 3)])) == [(1, 4, "absent", 2)]


def test_nothing_from_the_listing_to_the_first_row_is_before_the_first_trade():
    looks = [answer(0, 5, [3, 4])] * 2

    found = gaps(span(-2, 5), [3, 4], looks, confirm_after=DAY)

    assert brief(found) == [(-2, 0, "before_listing", 0), (0, 3, "before_first_trade", 2)]


def test_nothing_at_the_start_of_what_is_wanted_is_no_time_before_the_first_trade():
    looks = [answer(10, 15, [13, 14])] * 2

    (gap,) = gaps(span(10, 15), [13, 14], looks, confirm_after=DAY)

    assert (gap.reason, gap.retry_at_ms) == ("unexplained", DAY)


@pytest.mark.parametrize(("age", "reason"), [("old", "absent"), ("young", "truncated")])
def test_nothing_after_the_last_row_is_settled_only_when_it_cannot_be_late(age, reason):
    looks = [answer(0, 5, [0, 1])] * 2

    found = gaps(span(0, 5), [0, 1], looks, now=at(5) + AGE[age])

    assert [(gap.start_ms, gap.end_ms, gap.reason) for gap in found] == [(at(2), at(5), reason)]


def test_a_page_that_missed_rows_another_brought_is_believed_no_more():
    cut = answer(0, 9, [7, 8])

    found = gaps(span(0, 9), [4, 5, 6, 7, 8], [cut, answer(0, 9, range(4, 9))], confirm_after=0)

    assert brief(found) == [(0, 4, "unexplained", 1)]


def test_an_empty_page_is_believed_no_more_once_any_of_its_rows_came():
    answers = [answer(0, 9, []), answer(0, 9, []), answer(0, 5, range(5))]

    assert brief(gaps(span(0, 9), range(5), answers)) == [(5, 9, "truncated", 0)]


def test_a_shifted_page_does_not_show_what_is_missing():
    shifted = answer(0, 5, [], doubt="rows elsewhere")

    assert brief(gaps(span(0, 5), [], [shifted] * 3)) == [(0, 5, "doubted", 3)]


def test_rows_that_broke_their_contract_are_quarantined_and_asked_for_again():
    look = answer(0, 4, range(4), fetched=MINUTE)

    (once,) = gaps(span(0, 4), [0, 1, 3], [look], rejected=[2], confirm_after=HOUR)
    (twice,) = gaps(span(0, 4), [0, 1, 3], [look, look], rejected=[2], confirm_after=HOUR)

    assert (once.reason, once.seen, once.retry_at_ms) == ("quarantined", 1, MINUTE + HOUR)
    assert (twice.seen, twice.retry_at_ms) == (2, MINUTE + RECHECK_MS)
    assert not twice.is_settled


def test_rows_off_the_grid_quarantine_the_minutes_they_fall_in():
    look = Answer(span(0, 3), 0, is_ok=True, first_ms=at(0) + 30_000, last_ms=at(2) + 30_000)
    rejected = ticks(range(3)) + 30_000

    found = find_gaps([span(0, 3)], ticks([]), rejected, [look] * 2, facts())

    assert [(gap.reason, gap.start_ms, gap.end_ms) for gap in found] == [
        ("quarantined", at(0), at(3))
    ]


def test_a_bad_funding_row_of_the_running_hour_is_quarantined():
    """The window ends at the exchange's clock, in the middle of the row's step."""
    grid, now = Grid(HOUR, (0,), 0), LISTED + 2 * HOUR + 30 * MINUTE
    look = Answer(Span(LISTED, now), 0, is_ok=True, first_ms=LISTED, last_ms=LISTED + 2 * HOUR)
    held = np.array([LISTED + HOUR])
    rejected = np.array([LISTED + 2 * HOUR])

    found = find_gaps([Span(LISTED, now)], held, rejected, [look], facts(now=now, grid=grid))

    assert [(gap.start_ms, gap.reason) for gap in found] == [
        (LISTED, "before_listing"),
        (LISTED + 2 * HOUR, "quarantined"),
    ]


def test_a_row_that_closed_a_moment_ago_is_in_progress():
    found = gaps(span(0, 10), range(5), [answer(0, 6, range(5))], now=at(8))

    assert brief(found) == [(5, 10, "in_progress", 0)]


def test_nothing_is_owed_after_the_expiry():
    found = gaps(span(0, 6), range(4), [answer(0, 6, range(4))], life=span(0, 4))

    assert brief(found) == [(4, 6, "after_expiry", 0)]


@pytest.mark.parametrize("starts", [8 * HOUR, 0])
def test_candles_are_owed_on_the_grid_their_instrument_is_on(starts):
    grid = Grid(12 * HOUR, (0, 8 * HOUR), 12 * HOUR)
    held = LISTED + starts + 12 * HOUR * np.array([0, 1, 3])

    (gap,) = find_gaps(
        [Span(int(held[0]), int(held[3 - 1]))], held, ticks([]), [], facts(grid=grid)
    )

    assert (gap.start_ms, gap.end_ms) == (int(held[1]) + 12 * HOUR, int(held[2]))


minutes = st.integers(-5, 60)
spans = st.tuples(minutes, st.integers(0, 30)).map(lambda one: span(one[0], one[0] + one[1]))
subsets = st.sets(minutes)


@st.composite
def any_answers(draw):
    window = draw(spans)
    first, last = sorted((draw(minutes), draw(minutes)))
    is_ok, is_empty = draw(st.booleans()), draw(st.booleans())
    edges = (None, None) if is_empty or not is_ok else (at(first), at(last))
    return Answer(
        window,
        draw(st.integers(0, 9)),
        is_ok,
        *edges,
        doubt="rows elsewhere" if draw(st.booleans()) else "",
    )


@given(
    wanted=st.lists(spans, max_size=3),
    held=subsets,
    rejected=subsets,
    answers=st.lists(any_answers(), max_size=6),
    now=minutes,
)
def test_every_wanted_minute_is_held_or_in_exactly_one_gap(wanted, held, rejected, answers, now):
    found = find_gaps(
        wanted, ticks(held), ticks(rejected), answers, facts(now=at(now), life=span(0, 50))
    )

    gone = [tick for gap in found for tick in range(gap.start_ms, gap.end_ms, MINUTE)]
    owed = {tick for one in wanted for tick in range(one.start_ms, one.end_ms, MINUTE)}
    is_owed = range(at(0), min(at(50), at(now)), MINUTE)
    kept = {at(minute) for minute in held if at(minute) in is_owed}
    assert sorted(gone) == sorted(owed - kept)
    assert all(gap.start_ms < gap.end_ms for gap in found)


@dataclass
class Exchange:
    """Minutes it has, and what goes wrong with which request, by its number."""

    truth: set[int]
    faults: dict[int, str] = field(default_factory=dict)
    asked: list[tuple[Span, set[int] | None]] = field(default_factory=list)

    def answer(self, window, fetched):
        inside = [m for m in sorted(self.truth) if window.start_ms <= at(m) < window.end_ms]
        inside = inside[-PAGE:]  # as the exchange does: the newest of a window too wide
        kind, _, size = self.faults.get(len(self.asked), "honest").partition(" ")
        cut = int(size or 0)
        sent = {
            "honest": inside,
            "failed": None,
            "empty": [],
            "oldest": inside[cut:],
            "newest": inside[: max(0, len(inside) - cut)],
        }[kind]
        self.asked.append((window, None if sent is None else set(sent)))
        if sent is None:
            return [], Answer(window, fetched, is_ok=False)
        edges = (at(sent[0]), at(sent[-1])) if sent else (None, None)
        return sent, Answer(window, fetched, True, *edges, is_full=len(sent) >= PAGE)


@dataclass
class Loop:
    """What the pipeline does: plan, ask, judge, and ask again."""

    exchange: Exchange
    wanted: Span
    within: Span
    facts: Facts
    held: set[int] = field(default_factory=set)
    answers: list[Answer] = field(default_factory=list)

    def judged(self):
        found = find_gaps([self.wanted], ticks(self.held), ticks([]), self.answers, self.facts)
        inside = [at(m) for m in self.held if self.wanted.start_ms <= at(m) < self.wanted.end_ms]
        first, last = min(inside, default=None), max(inside, default=None)
        return Record(wanted=(self.wanted,), gaps=found, first_ms=first, last_ms=last)

    def run(self, *, clock=0, turns=6):
        """Return the record after at most so many turns, and how many it took."""
        for turn in range(turns + 1):
            record = self.judged()
            asks = plan.windows(record, GRID, rows=PAGE, within=self.within, due=Due(clock, 0))
            if not asks or turn == turns:
                return record, turn
            for window in asks:
                sent, told = self.exchange.answer(window, clock)
                self.held.update(sent)
                self.answers.append(told)
        raise AssertionError

    def days(self, count, *, after=0, turns=6):
        """Return the record after a run a day, the first of them today."""
        for day in range(count):
            record, _ = self.run(clock=after + day * DAY, turns=turns)
        return record


def loop(truth, *, faults=None, start=0, end=40, **given_facts):
    exchange = Exchange(set(truth), faults or {})
    within = Span(at(-1), FAR)
    return Loop(exchange, span(start, end), within, facts(**given_facts))


def absent_of(record):
    return {
        (tick - LISTED) // MINUTE
        for gap in record.gaps
        if gap.is_settled
        for tick in range(gap.start_ms, gap.end_ms, MINUTE)
    }


truths = st.lists(st.booleans(), min_size=42, max_size=42).map(
    lambda bits: {minute for minute, bit in enumerate(bits) if bit}
)
blocky = st.lists(st.tuples(st.booleans(), st.integers(1, 15)), min_size=42, max_size=42).map(
    lambda runs: {
        minute
        for minute, bit in enumerate(bit for bit, length in runs for _ in range(length))
        if bit and minute < 42
    }
)


@given(truth=truths | blocky, start=st.integers(0, 3))
def test_an_honest_exchange_is_asked_until_everything_is_settled(truth, start):
    one = loop(truth, start=start)

    record, turns = one.run()

    assert turns <= 6
    assert record.is_complete or not one.held
    assert one.days(3).is_complete
    assert absent_of(one.judged()) == set(range(start, 40)) - truth


@given(truth=truths | blocky, outages=st.lists(spans, max_size=3))
def test_undocumented_holes_wait_for_their_second_look_and_then_settle(truth, outages):
    one = loop(truth, confirm_after=HOUR, outages=outages)

    record, _ = one.run()
    waiting = [gap for gap in record.gaps if not gap.is_settled]
    later = one.days(3, after=HOUR)

    assert {(gap.reason, gap.seen >= 2) for gap in waiting} <= {("unexplained", True)}
    assert later.is_complete
    assert absent_of(later) == set(range(40)) - truth


kinds = st.one_of(
    st.sampled_from(["failed", "empty"]),
    st.tuples(st.sampled_from(["oldest", "newest"]), st.integers(1, PAGE)).map(
        lambda cut: f"{cut[0]} {cut[1]}"
    ),
)


@given(truth=truths | blocky, faults=st.dictionaries(st.integers(0, 30), kinds, max_size=12))
def test_no_minute_is_given_up_unless_two_answers_left_it_out(truth, faults):
    one = loop(truth, faults=faults)

    record, _ = one.run()

    for minute in absent_of(record):
        left_out = [
            sent
            for window, sent in one.exchange.asked
            if window.start_ms <= at(minute) < window.end_ms and sent is not None
        ]
        assert len(left_out) >= 2, minute
        assert not any(minute in sent for sent in left_out)


@given(truth=truths | blocky, number=st.integers(0, 12), kind=kinds)
def test_one_bad_answer_costs_no_row_and_nothing_stays_open(truth, number, kind):
    one = loop(truth, faults={number: kind})

    record = one.days(3, turns=9)

    assert record.is_complete
    assert one.held & set(range(40)) == truth & set(range(40))


@given(truth=truths | blocky, failed=st.sets(st.integers(0, 20)))
def test_requests_that_fail_cost_no_row(truth, failed):
    one = loop(truth, faults=dict.fromkeys(failed, "failed"))

    record = one.days(3, turns=30)

    assert record.is_complete
    assert one.held & set(range(40)) == truth & set(range(40))


@given(truth=truths | blocky, hours=st.integers(1, 30))
def test_an_exchange_that_sends_nothing_for_a_while_settles_nothing(truth, hours):
    """However often it is asked meanwhile."""
    one = loop(truth, faults=dict.fromkeys(range(10_000), "empty"))
    for clock in range(0, hours * HOUR, HOUR):
        record, _ = one.run(clock=clock)
        assert [gap.reason for gap in record.gaps] == ["unexplained"]
    one.exchange.faults.clear()

    record = one.days(4, after=hours * HOUR, turns=9)

    assert record.is_complete
    assert one.held & set(range(40)) == truth & set(range(40))


@pytest.mark.parametrize(("hole", "extra"), [({8, 9}, 1), ({PAGE - 1, PAGE}, 2)])
def test_a_hole_costs_one_more_request_and_two_across_a_page_border(hole, extra):
    one = loop(set(range(42)) - hole, end=PAGE * 5)
    pages = len(plan.pages(one.wanted, MINUTE, PAGE))

    one.run()

    assert len(one.exchange.asked) == pages + extra


def test_more_that_is_wanted_is_not_asked_yet():
    record = Record(wanted=(span(0, 5),), rows=5, first_ms=at(0), last_ms=at(4))

    grown = extend(record, [span(3, 9)], facts())

    assert grown.wanted == (span(0, 9),)
    assert brief(grown.gaps) == [(5, 9, "not_asked", 0)]


def test_what_was_in_progress_is_owed_once_it_closed():
    wanted = span(0, 30)
    before = extend(Record(), [wanted], facts(now=at(10)))

    after = extend(before, [wanted], facts(now=at(20)))

    assert brief(before.gaps) == [(0, 10, "not_asked", 0), (10, 30, "in_progress", 0)]
    assert brief(after.gaps) == [(0, 20, "not_asked", 0), (20, 30, "in_progress", 0)]


def test_what_is_settled_stays_settled_as_more_is_wanted():
    outage = Gap(at(2), at(3), "outage", 2, source="https://…")
    record = Record(wanted=(span(0, 5),), first_ms=at(0), last_ms=at(4), gaps=(outage,))

    assert extend(record, [span(0, 7)], facts()).gaps[0] == outage


@given(now=st.integers(0, 20), later=st.integers(0, 30), more=spans)
def test_extending_covers_every_wanted_minute_once(now, later, more):
    first = extend(Record(), [span(0, 10)], facts(now=at(now)))

    grown = extend(first, [more], facts(now=at(now + later)))

    gone = [tick for gap in grown.gaps for tick in range(gap.start_ms, gap.end_ms, MINUTE)]
    wanted = {tick for one in grown.wanted for tick in range(one.start_ms, one.end_ms, MINUTE)}
    assert sorted(gone) == sorted(wanted)


def test_extending_by_nothing_changes_nothing():
    record = Record(
        wanted=(span(0, 5),), first_ms=at(0), last_ms=at(3), gaps=(Gap(at(4), at(5), "truncated"),)
    )

    assert extend(record, [span(0, 5)], facts()) == record


@given(owed=spans, held=subsets)
def test_missing_is_what_a_set_of_minutes_says(owed, held):
    found = missing(owed, ticks(held), MINUTE)

    inside = set(range(owed.start_ms, owed.end_ms, MINUTE)) - {at(minute) for minute in held}
    assert {t for hole in found for t in range(hole.start_ms, hole.end_ms, MINUTE)} == inside
    assert all(a.end_ms < b.start_ms for a, b in pairwise(found))


def test_a_gap_survives_the_ledger_unchanged():
    found = gaps(span(0, 5), [0, 1, 3, 4], [answer(0, 5, [0, 1, 3, 4])])

    assert msgspec.json.decode(msgspec.json.encode(found), type=tuple[Gap, ...]) == found


def test_empty_answers_of_today_settle_nothing_an_outage_may_be_going_on():
    silent = [answer(20, 60, [], fetched=moment) for moment in (0, HOUR)]
    found = gaps(span(0, 60), range(20), [answer(0, 20, range(20)), *silent], now=at(70))

    assert brief(found) == [(20, 60, "truncated", 0)]
