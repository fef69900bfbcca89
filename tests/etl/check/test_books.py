"""Whether a ledger line of what is computed can be believed."""

from dataclasses import replace

import msgspec
import pytest

from etl.check.books import Books
from etl.check.status import statuses
from etl.compute.index_prices import INDEX_PRICES
from etl.compute.run import compute
from etl.errors import EtlError
from etl.instruments.lists import staged_listing
from etl.progress import LogProgress
from etl.sources.funding_rates import FUNDING_RATES
from lake.ledger import Gap, Input, Record, read_record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.publish import publish
from tests.etl.staged import FUNDED, HOUR, START, attempt, folded_funding, funding, lake_of

INDEX = Partition("index_prices", "btc_usd", "2024")
FUTURES = Partition("futures_ohlcv", "BTC-27SEP24", "2024")
BASIS = Partition("futures_basis", "BTC", "2024-03")
CURVE = Partition("futures_curve", "BTC", "2024-03")


@pytest.fixture
def funded(tmp_path):
    """A lake with three hours of funding rates, published."""
    ticks, window = [START, START + HOUR, START + 2 * HOUR], (START, START + 3 * HOUR)
    page = attempt(funding(ticks), window)
    lake = lake_of(tmp_path, page, dataset=FUNDING_RATES, partition=FUNDED)
    publish(lake, FUNDED, folded_funding(lake, window))
    return lake


@pytest.fixture
def made(funded):
    """The same, and the index prices made from it."""
    compute(funded, INDEX_PRICES, staged_listing(funded), LogProgress())
    return funded


def index_of(lake):
    (status,) = statuses(lake, "index_prices")
    return status


def test_what_was_just_made_is_complete(made):
    assert (index_of(made).verdict, index_of(made).rows) == ("COMPLETE", 4)


def test_what_another_version_of_a_step_made_is_unknown(made):
    record = read_record(made, INDEX)
    write_record(made, INDEX, msgspec.structs.replace(record, version=record.version + 1))

    assert index_of(made).verdict == "UNKNOWN"
    assert index_of(made).why.startswith("2024 was made by another version of its step: run")


def test_rows_that_broke_their_contract_make_it_incomplete(made):
    write_record(made, INDEX, msgspec.structs.replace(read_record(made, INDEX), quarantined=1))

    assert index_of(made).verdict == "INCOMPLETE"
    assert index_of(made).why == "1 rows broke their contract: see quarantine_index_prices"


def test_what_is_to_be_computed_has_a_line_before_it_is(funded):
    def dies(_read, _held, _todo):
        message = "killed"
        raise EtlError(message)

    with pytest.raises(EtlError, match="killed"):
        compute(funded, replace(INDEX_PRICES, step=dies), staged_listing(funded), LogProgress())

    record = read_record(funded, INDEX)
    assert (record.version, record.inputs, record.wanted) == (0, (), (INDEX.span,))
    assert index_of(funded).why.startswith("2024 is not computed yet")


@pytest.mark.parametrize(("reason", "is_whole"), [("not_asked", False), ("outage", True)])
def test_what_is_made_from_something_incomplete_is_not_whole_however_far_back(
    tmp_path, reason, is_whole
):
    lake = open_lake(tmp_path, create=True)
    write_record(lake, FUTURES, Record(checksum="f", gaps=(Gap(0, 1, reason),)))
    for one, source, checksum in ((BASIS, FUTURES, "f"), (CURVE, BASIS, "b")):
        made_from = Input(source.dataset, source.part, source.period, checksum)
        write_record(lake, one, Record(checksum="b", inputs=(made_from,), version=1))
    books = Books(lake)

    assert [books.is_whole(one) for one in (FUTURES, BASIS, CURVE)] == [is_whole] * 3
