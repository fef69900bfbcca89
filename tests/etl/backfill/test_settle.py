"""A partition is folded and published: its line names what was folded, whoever stages meanwhile."""

from dataclasses import dataclass, replace
from typing import Any

from etl.backfill.fold import is_folded
from etl.backfill.settle import Came, settle
from etl.proof.protocol import Due
from lake import raw
from lake.ledger import read_record
from lake.span import Span
from tests.etl.staged import (
    MINUTE,
    MINUTES,
    NOW,
    PARTITION,
    START,
    TERMS,
    attempt,
    chart,
    lake_of,
    minutes,
)

WANTED = Span(START, START + 10 * MINUTE)


@dataclass(frozen=True)
class Overtaken:
    """A proof of a dataset; while it says what is to be asked, others stage an answer."""

    proof: Any
    stage: Any

    def __getattr__(self, name):
        return getattr(self.proof, name)

    def asks(self, record, **how):
        self.stage()
        return self.proof.asks(record, **how)


def test_what_others_stage_while_a_partition_is_folded_is_not_taken_for_folded(tmp_path):
    pages = [attempt(chart(minutes(number))) for number in range(9)]
    lake = lake_of(tmp_path, *pages)
    folder = MINUTES.raw_folder(lake, PARTITION)

    def stage():  # a writer whose lease lapsed may have an answer on its way
        raw.stage([attempt(chart(minutes(9)))], folder)

    due = Due(NOW, NOW)
    came = Came(lake, PARTITION, (WANTED,), TERMS, within=WANTED, due=due, is_last=True)
    settle(came, replace(MINUTES, proof=Overtaken(MINUTES.proof, stage)))

    record = read_record(lake, PARTITION)
    assert record.attempts == 9
    assert len(raw.segments(folder)) == 2
    assert not is_folded(record, raw.segments(folder))
