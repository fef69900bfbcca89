import asyncio

import httpx
import msgspec
import pytest

from etl.catalog import fetched
from etl.deribit.client import DeribitClient, Retry
from etl.deribit.rate_limit import CreditBucket
from etl.errors import UnavailableError, UsageError
from etl.instruments.lists import fetch_listing, staged_listing
from etl.instruments.record import Instrument, Listing
from etl.proof.sequence import SequenceProof
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


UNKNOWN_CURRENCY = b"""{"jsonrpc": "2.0", "error": {"code": -32602, "message": "Invalid params",
"data": {"reason": "must be one of BTC", "param": "currency"}}}"""


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
@pytest.mark.parametrize(
    "dataset",
    [one for one in fetched() if not isinstance(one.proof, SequenceProof)],
    ids=lambda one: one.name,
)
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


async def no_sleep(_):
    """Try again at once."""


def fetched(root, result, expired=(), **asked):
    """The universe a client gets from an exchange that always sends this result.

    `expired` is what the history host sends by currency; others it does not know.
    """

    def exchange(request):
        if request.url.host == "sim":
            return httpx.Response(200, content=envelope(result, usOut=5_000))
        currency = request.url.params["currency"]
        if currency in dict(expired):
            return httpx.Response(200, content=envelope(dict(expired)[currency]))
        return httpx.Response(400, content=UNKNOWN_CURRENCY)

    async def fetch():
        http = httpx.AsyncClient(base_url="https://sim", transport=httpx.MockTransport(exchange))
        bucket = CreditBucket(root / "credits", capacity=1e9, refill=1e9)
        async with http:
            client = DeribitClient(
                http, bucket=bucket, listing=bucket, cost=1, slots=1, retry=Retry(1, 1),
                stage=lambda one, folder: raw.stage([one], folder), sleep=no_sleep,
                history_url="https://history",
            )  # fmt: skip
            return await fetch_listing(client, open_lake(root), **asked)

    return asyncio.run(fetch())


def test_a_list_that_is_fetched_is_staged_and_read_offline_as_the_same(tmp_path):
    found = fetched(tmp_path, [PERPETUAL, FUTURE])

    assert sorted(found.instruments) == ["BTC-27DEC24", "BTC-PERPETUAL"]
    assert found.now_ms == 5
    assert staged_listing(open_lake(tmp_path)) == found


def test_what_an_earlier_list_had_is_kept_and_missed_unless_it_has_expired(tmp_path):
    expired = FUTURE | {
        "instrument_name": "BTC-1JAN70", "creation_timestamp": 1, "expiration_timestamp": 4,
    }  # fmt: skip  # now is 5
    fetched(tmp_path, [PERPETUAL, FUTURE, expired])
    found = fetched(tmp_path, [PERPETUAL])

    assert sorted(found.instruments) == ["BTC-1JAN70", "BTC-27DEC24", "BTC-PERPETUAL"]
    assert found.missing == ("BTC-27DEC24",)


@pytest.mark.parametrize("result", [[], {}, [{}], [PERPETUAL | {"creation_timestamp": "x"}]])
def test_a_list_without_one_usable_instrument_is_no_list(tmp_path, result):
    with pytest.raises(UnavailableError):
        fetched(tmp_path, result)


ODD = [
    None, 7, "BTC-PERPETUAL", [], FUTURE | {"creation_timestamp": None},
    FUTURE | {"tick_size": "x"}, FUTURE | {"instrument_name": 5}, FUTURE | {"kind": None},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=lambda one: str(one)[:20])
def test_one_odd_record_sinks_nothing_now_and_later(tmp_path, odd):
    found = fetched(tmp_path, [odd, PERPETUAL])

    assert list(found.instruments) == ["BTC-PERPETUAL"]
    assert len(found.notes()) == 1
    assert staged_listing(open_lake(tmp_path)) == found


def test_what_is_set_aside_is_said_by_name_and_is_taken_as_it_was_listed_before(tmp_path):
    fetched(tmp_path, [PERPETUAL, FUTURE])
    found = fetched(tmp_path, [PERPETUAL, FUTURE | {"tick_size": None}])

    assert found.notes() == ["BTC-27DEC24 is left out: tick_size: Expected `float`, got `null`"]
    assert found.missing == ()
    assert found.instruments["BTC-27DEC24"].tick_size == 0.5


def test_of_many_records_that_are_left_out_three_are_named(tmp_path):
    odd = [FUTURE | {"instrument_name": f"F{number}", "kind": 5} for number in range(9)]

    *named, rest = fetched(tmp_path, [PERPETUAL, *odd]).notes()

    assert [note.partition(" ")[0] for note in named] == ["F0", "F1", "F2"]
    assert rest == "6 more are left out of the list of instruments"


def test_kinds_without_a_dataset_are_left_out_with_a_word(tmp_path):
    routed = PERPETUAL | {"instrument_name": "BTC_USDC", "kind": "spot", "is_cbe_routed": True}
    others = [PERPETUAL | {"instrument_name": kind, "kind": kind} for kind in ("x", "option_combo")]

    found = fetched(tmp_path, [routed, PERPETUAL, *others])

    assert list(found.instruments) == ["BTC-PERPETUAL"]
    assert found.notes() == [
        "BTC_USDC is left out: it is traded on Coinbase, and Deribit has no candles of it",
        "x is left out: it is of kind 'x', which this version does not know",
        "option_combo is left out: it is of kind 'option_combo'",
    ]
    with pytest.raises(UsageError, match="BTC_USDC is left out: it is traded on Coinbase"):
        found.perpetual("BTC_USDC")


@pytest.mark.parametrize("name", ["ETH_USDC", "BTC-FS-27DEC24_PERP", "BTC-27DEC24-1-C"])
def test_what_is_no_perpetual_by_its_name_is_refused_by_its_kind(universe, name):
    with pytest.raises(UsageError, match=f"{name} is an? (spot|future_combo|option) by its name"):
        universe.perpetual(name)


@pytest.mark.parametrize("before", [[], [{}], [None], {}, 5, [PERPETUAL | {"kind": None}]])
def test_what_an_older_version_took_for_a_list_stops_nothing(tmp_path, before):
    staged(tmp_path, envelope([FUTURE]), envelope(before))

    assert list(staged_listing(open_lake(tmp_path)).instruments) == ["BTC-27DEC24"]
    assert "BTC-PERPETUAL" in fetched(tmp_path, [PERPETUAL]).instruments


def test_an_expiry_is_the_records_and_only_without_one_the_names():
    first = instrument(
        instrument_name="BTC-15JUL16", creation_timestamp=0, settlement_period="month",
        expiration_timestamp=1_468_594_800_000,
    )  # fmt: skip

    assert Listing(0, {"BTC-15JUL16": first}).expiry_ms("BTC-15JUL16") == 1_468_594_800_000
    assert Listing(0, {}).expiry_ms("BTC-15JUL16") == 1_468_569_600_000  # 08:00


@pytest.mark.parametrize("state", ["open", "settlement", "halted", "archivized", "dozing", None])
def test_every_state_is_taken_as_it_is_said(tmp_path, state):
    found = fetched(tmp_path, [PERPETUAL | {"state": state}])

    assert found.instruments["BTC-PERPETUAL"].state == state


GONE = PERPETUAL | {
    "instrument_name": "DOGE_USDC-PERPETUAL",
    "price_index": "doge_usdc",
    "settlement_currency": "USDC",
    "expiration_timestamp": LISTED + HOUR,
}


def test_an_expiration_before_the_year_3000_ends_the_life_of_a_perpetual_too():
    assert instrument(**GONE).life == Span(LISTED, LISTED + HOUR)


@pytest.mark.parametrize("name", ["DOGE_USDC-PERPETUAL", "doge_usdc"])
def test_a_delisted_perpetual_is_found_where_the_expired_are(tmp_path, name):
    found = fetched(tmp_path, [PERPETUAL], {"USDC": [GONE]}, names=[name])

    assert found.find(name) is not None
    assert found.perpetual("DOGE_USDC-PERPETUAL").life.end_ms == LISTED + HOUR
    assert staged_listing(open_lake(tmp_path)) == found


def test_a_perpetual_of_an_earlier_list_gets_the_end_that_the_expired_list_tells(tmp_path):
    fetched(tmp_path, [PERPETUAL, GONE | {"expiration_timestamp": 32_503_708_800_000}])
    found = fetched(tmp_path, [PERPETUAL], {"USDC": [GONE]}, names=["DOGE_USDC-PERPETUAL"])

    assert found.missing == ()
    assert found.perpetual("DOGE_USDC-PERPETUAL").life.end_ms == LISTED + HOUR


@pytest.mark.parametrize("name", ["BTC-PERPETUAL", "x", "XXX-PERPETUAL", "xxx_usd"])
def test_who_lives_or_is_nobody_costs_no_error(tmp_path, name):
    assert list(fetched(tmp_path, [PERPETUAL], names=[name]).instruments) == ["BTC-PERPETUAL"]


SOL = FUTURE | {"instrument_name": "SOL-24JUN22", "settlement_currency": "SOL"}


@pytest.mark.parametrize("currency", ["SOL", "any"])
def test_the_expired_of_a_currency_in_which_nothing_lives_are_listed(tmp_path, currency):
    listed = [PERPETUAL | {"settlement_currency": "BTC"}]
    found = fetched(tmp_path, listed, {"BTC": [FUTURE], "SOL": [SOL]}, expired_of=[currency])

    assert "SOL-24JUN22" in found.instruments
    assert [one.instrument_name for one in found.futures([currency])][-1] == "SOL-24JUN22"


@pytest.mark.parametrize("currency", ["XXX", "sol", "../..", ""])
def test_a_currency_nobody_knows_is_one_line_with_those_there_are(tmp_path, currency):
    with pytest.raises(UsageError) as caught:
        fetched(tmp_path, [PERPETUAL | {"settlement_currency": "BTC"}], expired_of=[currency])

    assert str(caught.value).startswith(f"no currency {currency!r}")
    assert "; there are: BTC" in str(caught.value)
