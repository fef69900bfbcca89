"""Proof by number: the exchange numbers the rows of an instrument, and no number may be missing.

Between two rows that are held the numbers say what is missing, to the row; it is asked for by its
own numbers. Behind the last row of an instrument, and before the first, only answers tell: one
speaks for its window, up to where a full page may have been cut, unless it lacks a row that another
brought. Two of them whose windows were cut differently settle a stretch for good; one settles it
until `heal` asks for the other.

Numbers are held against each other inside a partition here; from one partition to the next, in
`etl.proof.seams`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import polars as pl
from msgspec.structs import replace

from etl.proof.agreement import Agreed, agreed_by_key, ranked
from etl.proof.holes import looks_at, lost_or_asked_again, numbers_to_ask
from etl.proof.pages import ascends, count_numbers, goes_on
from etl.proof.protocol import (
    Answer,
    Due,
    Flags,
    Numbers,
    Read,
    Terms,
    Ticks,
    also_wanted,
    bounds_ms,
    looks_of,
    newly_wanted,
    not_owed,
    ticks_of,
    within_ms,
)
from etl.proof.stretches import spoken_less
from etl.proof.witnesses import AGREEING, RECHECK_MS
from lake.ledger import Gap, Reading, Record
from lake.span import Span, clip, union

FULL = 0.9  # of the most rows: a page may lack some, and then ends as early as a full one
REFUSED_NAME = "instrument:"  # how the reasons of rows begin whose instrument cannot be asked for


class _Asked(msgspec.Struct):
    """What a page was asked for."""

    instrument_name: str = ""
    start_seq: int = 0
    end_seq: int = 0
    currency: str = ""
    start_timestamp: int | None = None
    end_timestamp: int | None = None  # inclusive


_decode = msgspec.json.Decoder(_Asked).decode


@dataclass(frozen=True, slots=True)
class SequenceProof:
    """Every number between two held ones is held, and every window was answered.

    Attributes
    ----------
    page_rows
        The most rows a page can hold; pages are asked for oldest first.
    window_ms
        The widest window to ask for.
    late_ms
        How long after it happened a row may be not visible yet.
    number, of
        The column of the numbers, and the one they are counted in.
    named
        What a page calls the latter.
    part_of
        From instruments to the parts they are in, null where they tell none; a page with rows of
        another part is not believed.
    """

    page_rows: int
    window_ms: int
    late_ms: int = 0
    number: str = "trade_seq"
    of: str = "instrument"
    named: str = "instrument_name"
    part_of: Callable[[pl.Series], pl.Series] | None = None

    def heard(self, page: pl.DataFrame, answer: Answer) -> tuple[pl.DataFrame, Answer]:
        """Return the rows of a page that were asked for, and what the answer says."""
        asked = _decode(answer.asked)
        if asked.instrument_name:
            return self._heard_numbers(page, answer, asked)
        if asked.start_timestamp is not None and asked.end_timestamp is not None:
            answer = answer._replace(window=Span(asked.start_timestamp, asked.end_timestamp + 1))
        if stranger := self._stranger(page, asked.currency):
            doubt = f"it has rows of another part than {asked.currency}, as {stranger}"
            return page.clear(), answer._replace(is_ok=True, doubt=doubt)
        rows = within_ms(page, answer.window.start_ms, answer.window.end_ms)
        first, last = bounds_ms(rows)
        is_cut = len(page) >= self.page_rows or goes_on(page, last, answer.window)
        nothing = Span(answer.window.start_ms, answer.window.start_ms)
        said = answer._replace(
            is_ok=True,
            is_full=is_cut or len(page) >= self.page_rows * FULL,
            left_out=len(page) - len(rows),
            whole=nothing if is_cut and not ascends(page) else None,
        )
        if rows.is_empty() and not page.is_empty():
            at = page["timestamp_ms"][0]
            doubt = f"{len(page)} rows outside what was asked for, the first at {at} ms"
            return rows, said._replace(doubt=doubt, left_out=0)
        said = said._replace(first_ms=first, last_ms=last)
        span = self._spoken_for(said)
        spoken = within_ms(rows, span.start_ms, span.end_ms)
        return rows, said._replace(rows=count_numbers(spoken, self.named, self.number))

    def _heard_numbers(
        self, page: pl.DataFrame, answer: Answer, asked: _Asked
    ) -> tuple[pl.DataFrame, Answer]:
        """Return the rows whose numbers were asked for; the page speaks for no stretch of time."""
        name, first, last = asked.instrument_name, asked.start_seq, asked.end_seq
        is_mine = (pl.col(self.named) == name) & pl.col(self.number).is_between(first, last)
        rows = page.filter(is_mine)
        said = answer._replace(
            is_ok=True,
            left_out=len(page) - len(rows),
            numbers=Numbers(answer.window.start_ms, answer.window.end_ms, name, first, last),
        )
        if len(page.filter(pl.col(self.named) != name)):
            return page.clear(), said._replace(doubt=f"it has rows of others than {name}")
        bounds = bounds_ms(rows)
        return rows, said._replace(first_ms=bounds[0], last_ms=bounds[1])

    def _stranger(self, page: pl.DataFrame, part: str) -> str | None:
        """Return an instrument of a page that is in another part, if there is one."""
        if self.part_of is None or not part:
            return None
        names = page[self.named].unique()
        others = names.filter(self.part_of(names) != part)
        return str(others[0]) if len(others) else None

    def closed(self, page: pl.DataFrame, sent_ms: int) -> pl.DataFrame:
        """Return all rows: what has a number has happened."""
        del sent_ms
        return page

    def is_young(self, rows: pl.DataFrame, read: Read, settle_ms: int) -> Flags:
        """Tell which rows were sent less than `settle_ms` after they happened."""
        young: Flags = read.sent_ms[rows["attempt"].to_numpy()] - ticks_of(rows) < settle_ms
        return young

    def agreed(self, rows: pl.DataFrame, key: Sequence[str], is_young: Flags) -> Agreed:
        """Return the rows answers agree on: what they differ in is told row by row."""
        return agreed_by_key(rows, key, is_young)

    def misplaced(
        self, rows: pl.DataFrame, answers: Sequence[Answer], settle_ms: int
    ) -> frozenset[int]:
        """Return none: where the rows of a page begin and end is not known beforehand."""
        del rows, answers, settle_ms
        return frozenset()

    def gaps(
        self,
        wanted: Sequence[Span],
        valid: pl.DataFrame,
        rejected: pl.DataFrame,
        answers: Sequence[Answer],
        terms: Terms,
    ) -> tuple[Gap, ...]:
        """Return what no answer speaks for, and the numbers that are missing."""
        columns = ["timestamp", self.of, self.number]
        known = valid.select(columns)
        if len(rejected):
            known = pl.concat([known, self._between(known, rejected.select(columns))])
            known = known.unique(columns[1:], keep="first", maintain_order=True)
        found = [*self._unanswered(wanted, known, answers, terms)]
        found += self._missing(wanted, known, answers, terms)
        if len(rejected):
            unheld = rejected.join(valid, on=[self.of, self.number], how="anti")
            found += self._quarantined(unheld, answers)
        return tuple(sorted(found, key=_place))

    def _between(self, held: pl.DataFrame, refused: pl.DataFrame) -> pl.DataFrame:
        """Return the refused rows whose numbers lie between held ones: others may be no numbers."""
        number = pl.col(self.number)
        bounds = held.group_by(self.of).agg(low=number.min(), high=number.max())
        inside = refused.join(bounds, on=self.of).filter(number.is_between("low", "high"))
        return inside.select(held.columns)

    def _unanswered(
        self, wanted: Sequence[Span], known: pl.DataFrame, answers: Sequence[Answer], terms: Terms
    ) -> Iterator[Gap]:
        """Yield the stretches that fewer than two good answers speak for."""
        timed = [one for one in answers if one.numbers is None]
        whole, lacking = self._told_apart(timed, known)
        for span in union(wanted):
            yield from not_owed(span, terms.life, terms.now_ms - self.late_ms)
            owed = clip(clip(span, terms.life), Span(0, terms.now_ms - self.late_ms))
            yield from spoken_less(owed, whole, lacking, timed)

    def _told_apart(
        self, answers: Sequence[Answer], known: pl.DataFrame
    ) -> tuple[list[tuple[Span, Span]], list[Span]]:
        """Return what answers speak for, with their windows, and what those that lack rows do."""
        ticks: Ticks = known["timestamp"].sort().dt.epoch("ms").to_numpy()
        whole, lacking = [], []
        for one in answers:
            if one.is_believed:
                span = self._spoken_for(one)
                first, end = ticks.searchsorted([span.start_ms, span.end_ms])
                if end - first > one.rows:
                    lacking.append(span)
                else:
                    whole.append((span, one.window))
        return whole, lacking

    def _spoken_for(self, answer: Answer) -> Span:
        """Return what an answer speaks for: its window, up to the last moment of a full page.

        A full page that is not sorted speaks for nothing: what was cut off may be anything.
        """
        if answer.whole is not None:
            return answer.whole
        sent_ms = answer.window.end_ms if answer.sent_ms is None else answer.sent_ms
        end = min(answer.window.end_ms, max(sent_ms - self.late_ms, answer.window.start_ms))
        if answer.is_full and answer.last_ms is not None:
            end = min(end, answer.last_ms)
        return Span(answer.window.start_ms, end)

    def _missing(
        self, wanted: Sequence[Span], known: pl.DataFrame, answers: Sequence[Answer], terms: Terms
    ) -> Iterator[Gap]:
        """Yield a gap for every run of missing numbers that cannot lie in time nobody wants."""
        places = ranked(known.select(self.of, self.number))
        order = places.select(pl.arg_sort_by(self.of, self.number)).to_series()
        ordered = known[order]
        later = ordered.with_columns(
            since=pl.col("timestamp").shift(), jump=pl.col(self.number).diff() - 1
        ).filter((pl.col(self.of) == pl.col(self.of).shift()) & (pl.col("jump") > 0))
        ms = pl.col("since", "timestamp").dt.epoch("ms")
        rows = later.select(ms, self.of, pl.col(self.number) - pl.col("jump"), "jump").iter_rows()
        spoken = [
            (self._spoken_for(one), one.fetched_ms)
            for one in answers
            if one.is_believed and one.numbers is None
        ]
        looks, covered = looks_of(answers), union(wanted)
        for start, end, of, first, count in rows:
            span = Span(min(start, end), max(start, end) + 1)
            if not any(one.holds(span) for one in covered):
                continue
            asked = Numbers(span.start_ms, span.end_ms, of, first, first + count - 1)
            seen = looks_at(asked, looks, spoken, self.page_rows)
            yield lost_or_asked_again(asked, seen, terms)

    def _quarantined(self, rejected: pl.DataFrame, answers: Sequence[Answer]) -> Iterator[Gap]:
        """Yield a gap for every number of which only rows came that are not used."""
        rows = rejected.unique([self.of, self.number], keep="first", maintain_order=True).select(
            pl.col("timestamp").dt.epoch("ms"), self.of, self.number, "failed_check"
        )
        timed = [one for one in answers if one.is_ok and one.numbers is None]
        by_number: dict[str, list[Answer]] = {}
        for one in answers:
            if one.is_ok and one.numbers is not None:
                by_number.setdefault(one.numbers.of, []).append(one)
        for at, of, number, why in rows.iter_rows():
            asked = (one for one in by_number.get(of, ()) if _has(one.numbers, number))
            there = (one for one in timed if one.window.start_ms <= at < one.window.end_ms)
            times = sorted(one.fetched_ms for one in (*asked, *there))
            retry = times[-1] + RECHECK_MS if len(times) >= AGREEING else None
            gap = Gap(at, at + 1, "quarantined", len(times), retry, rows=1)
            yield gap if REFUSED_NAME in why else replace(gap, of=of, first=number)

    def provisional(self, valid: pl.DataFrame, read: Read, settle_ms: int) -> tuple[Reading, ...]:
        """Return the stretches that were read less than `settle_ms` after they happened."""
        young = self.is_young(valid, read, settle_ms)
        mine = valid.filter(pl.Series(young)).group_by("attempt", maintain_order=True)
        ms = pl.col("timestamp").dt.epoch("ms")
        bounds = mine.agg(ms.min().alias("first"), ms.max().alias("last")).sort("attempt")
        return tuple(
            Reading(first, last + 1, int(read.fetched_ms[attempt]))
            for attempt, first, last in bounds.iter_rows()
        )

    def extend(self, record: Record, wanted: Sequence[Span], terms: Terms) -> Record:
        """Return the record with more wanted and time gone by."""
        opened: list[Gap] = []
        now_ms = terms.now_ms - self.late_ms
        for span in union(newly_wanted(record, wanted)):
            opened += not_owed(span, terms.life, now_ms)
            owed = clip(clip(span, terms.life), Span(0, now_ms))
            if owed.start_ms < owed.end_ms:
                opened.append(Gap(owed.start_ms, owed.end_ms, "not_asked"))
        kept = [gap for gap in record.gaps if gap.reason != "in_progress"]
        gaps = tuple(sorted([*kept, *opened], key=_place))
        return replace(record, wanted=also_wanted(record, wanted), gaps=gaps)

    def asks(self, record: Record, *, within: Span, due: Due) -> list[Span]:
        """Return the windows to ask for now, and the numbers, so that nothing may be missing."""
        chosen = [gap for gap in record.gaps if due.has(gap) and not gap.is_before]
        again = [one for one in chosen if one.reason == "seen_once"]
        timed = [Span(one.start_ms, one.end_ms) for one in chosen if not one.of]
        seen = union(clip(Span(one.start_ms, one.end_ms), within) for one in again)
        spans = union(clip(one, within) for one in timed)
        spans += [
            Span(reading.start_ms, reading.end_ms)
            for reading in record.provisional
            if not due.has_read(reading)
        ]
        windows = [
            piece
            for one in union(spans)
            for piece in _cut(
                one, self.window_ms, self.window_ms // 2 if any(map(one.meets, seen)) else 0
            )
        ]
        return [*windows, *numbers_to_ask((one for one in chosen if one.of), self.page_rows)]

    def parts(self, window: Span) -> list[Span]:
        """Return the window: no other is ever asked for."""
        return [window]

    def most_rows(self, window: Span) -> int:
        """Return the rows of a page for each window: how many happened nobody knows before."""
        return self.page_rows * -(-(window.end_ms - window.start_ms) // self.window_ms)

    def count(self, records: Sequence[Record]) -> dict[str, int]:
        """Count missing rows by reason; a stretch nobody answered for counts as one."""
        counts: Counter[str] = Counter()
        for record in records:
            for gap in record.gaps:
                counts[gap.reason] += gap.rows or 1
        return dict(sorted(counts.items()))


def _cut(span: Span, width: int, phase: int) -> Iterator[Span]:
    """Yield a span cut where multiples of `width` lie, moved by `phase`."""
    start = span.start_ms
    while start < span.end_ms:
        end = min(span.end_ms, (start - phase) // width * width + phase + width)
        yield Span(start, end)
        start = end


def _has(numbers: Numbers | None, number: int) -> bool:
    return numbers is not None and numbers.first <= number <= numbers.last


def _place(gap: Gap) -> tuple[int, int, str, str, int]:
    return gap.start_ms, gap.end_ms, gap.reason, gap.of, gap.first
