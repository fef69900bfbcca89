"""A sync's verdict while another process, as a collector that folds, writes what is kept."""

import threading
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from etl.compute.index_prices import INDEX_PRICES
from etl.compute.run import compute
from etl.config import Keep
from etl.instruments.lists import staged_listing
from etl.progress import LogProgress
from etl.sources.funding_rates import FUNDING_RATES
from etl.sync.keep import keeping_of
from etl.sync.last_look import LastLook
from etl.sync.stages import Stage
from etl.sync.verdict import worst
from lake import raw
from lake.ledger import Gap, Record, read_record, write_record
from lake.lock import locked
from lake.partition import Partition
from lake.paths import Lake
from lake.publish import publish
from tests.etl.staged import BTC, FUNDED, HOUR, NOW, START, attempt, folded_funding, funding

KEPT = keeping_of(Keep(datasets=["funding", "index"], instruments=[BTC]), NOW)
PATIENCE_S, MOMENT_S = 60.0, 0.5


def stage(lake, hours):
    ticks = [START + hour * HOUR for hour in range(hours)]
    page = attempt(funding(ticks), (START, START + hours * HOUR))
    raw.stage([page], FUNDING_RATES.raw_folder(lake, FUNDED))


def fold(lake, hours):
    publish(lake, FUNDED, folded_funding(lake, (START, START + hours * HOUR)))


def want(lake, hours):
    """Write down what is wanted, as it is before it is asked for."""
    record = read_record(lake, FUNDED)
    gap = Gap(START + 3 * HOUR, START + hours * HOUR, "not_asked")
    write_record(lake, FUNDED, replace(record, gaps=(gap,)))


@pytest.fixture
def lake(tmp_path):
    """Three hours of funding rates, and the index prices made from them."""
    lake = Lake(tmp_path)
    stage(lake, 3)
    fold(lake, 3)
    compute(lake, INDEX_PRICES, staged_listing(lake), LogProgress())
    return lake


def look_at(lake, wait=PATIENCE_S):
    return LastLook(lake, KEPT, {"funding_rates": {BTC}}, NOW, LogProgress(), wait)


def verdicts_of(found):
    return {one.dataset: (one.verdict, one.rows) for one in found}


@contextmanager
def folding(lake, begin):
    """Let another write: it has begun when the block does, and ends a moment after `go_on`."""
    has_begun, may_end = threading.Event(), threading.Event()

    def work():
        with locked(lake, [FUNDED]):
            begin(lake, 6)
            has_begun.set()
            may_end.wait(PATIENCE_S)
            if begin is not stage:
                stage(lake, 6)
            fold(lake, 6)

    other = threading.Thread(target=work)
    other.start()
    has_begun.wait(PATIENCE_S)
    try:
        yield threading.Timer(MOMENT_S, may_end.set)
    finally:
        may_end.set()
        other.join()


@pytest.mark.parametrize(("begin", "meanwhile"), [(stage, "UNKNOWN"), (want, "INCOMPLETE")])
def test_whoever_writes_what_is_kept_is_waited_for_and_what_follows_is_computed(
    lake, begin, meanwhile
):
    look, told = look_at(lake), Stage("status")
    with folding(lake, begin) as end:
        assert verdicts_of(look.once())["funding_rates"][0] == meanwhile
        end.start()
        found = look.settled(told)

    assert verdicts_of(found) == {"funding_rates": ("COMPLETE", 6), "index_prices": ("COMPLETE", 7)}
    assert (told.rows, told.notes) == (7, [])


def test_what_another_published_since_it_was_computed_from_is_computed_again(lake):
    stage(lake, 6)
    fold(lake, 6)
    look = look_at(lake)

    assert verdicts_of(look.once())["index_prices"] == ("UNKNOWN", 4)
    assert verdicts_of(look.settled(Stage("status")))["index_prices"] == ("COMPLETE", 7)


@pytest.mark.parametrize(("begin", "verdict"), [(stage, "UNKNOWN"), (want, "INCOMPLETE")])
def test_what_nobody_is_writing_has_the_verdict_of_the_moment(lake, begin, verdict):
    begin(lake, 6)
    told = Stage("status")

    assert worst(look_at(lake).settled(told)) == verdict
    assert told.notes == []


def test_whoever_writes_for_too_long_is_named(lake):
    told = Stage("status")
    with folding(lake, stage):
        found = look_at(lake, wait=0.1).settled(told)

    assert worst(found) == "UNKNOWN"
    assert told.notes[0].startswith(
        "the verdict is of this moment: funding_rates BTC-PERPETUAL 2024 is being written by"
    )


@pytest.fixture
def beside(lake):
    """Another part of the same dataset, which somebody goes on writing."""
    other = Partition(FUNDED.dataset, "ETH-PERPETUAL", FUNDED.period)
    write_record(lake, other, Record(gaps=(Gap(START, START + HOUR, "not_asked"),)))
    has_begun, may_end = threading.Event(), threading.Event()

    def work():
        with locked(lake, [other]):
            has_begun.set()
            may_end.wait(PATIENCE_S)

    busy = threading.Thread(target=work)
    busy.start()
    has_begun.wait(PATIENCE_S)
    yield other
    may_end.set()
    busy.join()


@pytest.mark.usefixtures("beside")
def test_whoever_writes_what_is_not_kept_is_not_waited_for(lake):
    told = Stage("status")
    with folding(lake, want) as end:
        end.start()
        found = look_at(lake, wait=4 * MOMENT_S).settled(told)

    assert worst(found) == "COMPLETE"
    assert told.notes == []


def test_whoever_writes_for_too_long_hides_nothing_that_came_to_its_end(lake, beside):
    told, parts = Stage("status"), {"funding_rates": {BTC, beside.part}}
    with folding(lake, want) as end:
        end.start()
        wait = 4 * MOMENT_S
        found = LastLook(lake, KEPT, parts, NOW, LogProgress(), wait).settled(told)

    assert len(told.notes) == 1
    assert {one.dataset: (one.parts, one.complete) for one in found}["funding_rates"] == (2, 1)
