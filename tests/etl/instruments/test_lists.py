import asyncio

import httpx
import msgspec
import pytest
import stamina

from etl.catalog import fetched
from etl.deribit.client import DeribitClient, Retry
from etl.deribit.rate_limit import CreditBucket
from etl.errors import UnavailableError, UsageError
from etl.instruments.lists import fetch_listing, staged_listing
from etl.instruments.record import Instrument, Listing
from lake import raw
from lake.paths import open_lake
from lake.span import Span
from tests.etl.staged import HOUR, attempt, envelope

LISTED = 1_534_242_287_000  # BTC-PERPETUAL: 2018-08-14 10:24:47Z
PERPETUAL = {
    "instrument_name": "BTC-PERPETUAL",
    "kind": "future",
    "creation_timestamp": LISTED,
    "expiration_timestamp": 32_503_708_800_000,
    "settlement_period": "perpetual",
    "tick_size": 0.5,
    "a_new_member": {},
}
FUTURE = PERPETUAL | {
    "instrument_name": "BTC-27DEC24",
    "settlement_period": "month",
    "expiration_timestamp": LISTED + HOUR,
}


def instrument(**members):
    return msgspec.convert(PERPETUAL | members, Instrument)


@pytest.fixture
def universe():
    names = ["BTC-PERPETUAL", "ETH-PERPETUAL", "SOL_USDC-PERPETUAL"]
    listed = [instrument(instrument_name=name) for name in names]
    listed.append(msgspec.convert(FUTURE, Instrument))
    return Listing(0, {one.instrument_name: one for one in listed})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BTC-PERPETUL", "no instrument 'BTC-PERPETUL'; nearest: BTC-PERPETUAL"),
        ("eth-perpetual", "no instrument 'eth-perpetual'; nearest: ETH-PERPETUAL"),
        ("BTC-27DEC24", "BTC-27DEC24 is a future: no perpetual 'BTC-27DEC24'; nearest: "),
        ("???", "no instrument '???'; nearest: BTC-PERPETUAL, ETH-PERPETUAL, SOL"),
    ],
)
def test_an_unknown_perpetual_is_refused_naming_the_nearest(universe, name, message):
    with pytest.raises(UsageError) as caught:
        universe.perpetual(name)

    assert str(caught.value).startswith(message)


def test_no_listing_at_all_is_said():
    with pytest.raises(UsageError, match="nearest: none listed"):
        Listing(0, {}).perpetual("BTC-PERPETUAL")


def test_a_perpetual_lives_for_ever_and_a_future_until_its_expiry(universe):
    assert universe.perpetual("BTC-PERPETUAL").life.end_ms > 30_000_000_000_000
    assert universe.instruments["BTC-27DEC24"].life == Span(LISTED, LISTED + HOUR)


@pytest.mark.parametrize("hour", range(0, 24, 5))
@pytest.mark.parametrize("dataset", list(fetched()), ids=lambda one: one.name)
def test_the_first_row_of_every_grid_is_asked_for(dataset, hour):
    one = instrument(creation_timestamp=LISTED + hour * HOUR)

    for alignment in dataset.proof.grid.alignments_ms:
        first = dataset.proof.grid.described(one.life, alignment).start_ms
        assert one.first_asked_ms <= first
        assert first - one.first_asked_ms < 3 * 24 * HOUR


def staged(root, *bodies, outcome="ok"):
    lake = open_lake(root, create=True)
    for body in bodies:
        sent = attempt(body, (0, 0), outcome=outcome)
        raw.stage([sent], lake.raw("get_instruments", currency="any", kind="future"))
    return lake


def test_offline_the_last_good_list_counts(tmp_path):
    lake = staged(tmp_path, envelope([PERPETUAL]), envelope([PERPETUAL, FUTURE]))
    staged(tmp_path, b"<html>", outcome="HTTP 502")

    found = staged_listing(lake)

    assert sorted(found.instruments) == ["BTC-27DEC24", "BTC-PERPETUAL"]
    assert found.now_ms > 0


def test_offline_without_a_list_nothing_is_known(tmp_path):
    assert staged_listing(open_lake(tmp_path)) == Listing(0, {})


def fetched(root, result):
    """The universe a client gets from an exchange that always sends this result."""

    def exchange(_):
        return httpx.Response(200, content=envelope(result, usOut=5_000))

    async def fetch():
        http = httpx.AsyncClient(base_url="https://sim", transport=httpx.MockTransport(exchange))
        bucket = CreditBucket(root / "credits", capacity=1e9, refill=1e9)
        async with http:
            client = DeribitClient(
                http, bucket=bucket, listing=bucket, cost=1, slots=1, retry=Retry(1, 1),
                stage=lambda one, folder: raw.stage([one], folder),
            )  # fmt: skip
            return await fetch_listing(client, open_lake(root))

    with stamina.set_testing(True, attempts=2):
        return asyncio.run(fetch())


def test_a_list_that_is_fetched_is_staged_and_read_offline_as_the_same(tmp_path):
    found = fetched(tmp_path, [PERPETUAL, FUTURE])

    assert sorted(found.instruments) == ["BTC-27DEC24", "BTC-PERPETUAL"]
    assert found.now_ms == 5
    assert staged_listing(open_lake(tmp_path)) == found


def test_what_an_earlier_list_had_is_kept_and_missed_unless_it_has_expired(tmp_path):
    expired = FUTURE | {"instrument_name": "BTC-1JAN70", "expiration_timestamp": 4}  # now is 5
    fetched(tmp_path, [PERPETUAL, FUTURE, expired])
    found = fetched(tmp_path, [PERPETUAL])

    assert sorted(found.instruments) == ["BTC-1JAN70", "BTC-27DEC24", "BTC-PERPETUAL"]
    assert found.missing == ("BTC-27DEC24",)


@pytest.mark.parametrize("result", [[], {}, [{}], [PERPETUAL | {"creation_timestamp": "x"}]])
def test_a_list_of_another_shape_is_no_list(tmp_path, result):
    with pytest.raises(UnavailableError):
        fetched(tmp_path, result)
