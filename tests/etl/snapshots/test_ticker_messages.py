"""Tickers that came over sockets in `option_tickers`: which is kept, when it is of, what is not."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from etl.check.greeks import validate
from etl.check.status import statuses
from etl.snapshots.fold import fold, refresh, refresh_all, segments, staged
from etl.snapshots.sent import CHAIN, folder_of
from etl.snapshots.ticker_messages import currencies_of, option_of
from lake import raw
from lake.errors import CorruptFileError
from lake.messages import last_a_minute
from lake.partition import Partition
from lake.paths import open_lake
from lake.verify import verify
from tests import greek_tickers
from tests.etl.snapshots.heard import hear
from tests.etl.snapshots.test_fold import attempt, summary, ticker

START = int(datetime(2025, 6, 15, 9, tzinfo=UTC).timestamp() * 1000)
MINUTE, HOUR = 60_000, 3_600_000
PARTITION = Partition("option_tickers", "BTC", "2025-06-15")
CALL, PUT = "BTC-27JUN25-100000-C", "BTC-27JUN25-100000-P"
SESSION = Path(__file__).parents[4] / "shared/data/ws_session_2021_07/DERIBIT.ws.1.0"


@pytest.fixture
def lake(tmp_path):
    return open_lake(tmp_path, create=True)


def told(ms, name=CALL, *, late=20, interval="agg2", **members):
    """A ticker of `ms` after nine, heard `late` ms later."""
    data = ticker(name, timestamp=START + ms, **members)
    return (START + ms + late, f"ticker.{name}.{interval}", data)


def folded(lake, *messages, partition=PARTITION):
    if messages:
        hear(lake, "ticker", *messages)
    content = fold(lake, partition)
    return pl.DataFrame(content.rows), pl.DataFrame(content.rejected)


def at(ms):
    return datetime.fromtimestamp((START + ms) / 1000, UTC)


def test_the_last_ticker_of_a_minute_is_of_the_moment_the_minute_ends(lake):
    kept, aside = folded(
        lake,
        told(1_000, mark_price=0.01),
        told(59_900, mark_price=0.02),
        told(59_970, mark_price=0.03, late=40),  # heard when the next minute had begun
        told(2 * MINUTE + 5, mark_price=0.04),
    )

    assert aside.is_empty()
    assert kept.select("timestamp", "quoted_at", "mark_price").rows() == [
        (at(MINUTE), at(59_900), 0.02),
        (at(2 * MINUTE), at(59_970), 0.03),
        (at(3 * MINUTE), at(2 * MINUTE + 5), 0.04),
    ]


def test_a_row_has_all_a_ticker_says(lake):
    kept, _ = folded(lake, told(0))

    (row,) = kept.to_dicts()
    assert (row["instrument"], row["underlying"], row["strike"]) == (CALL, "BTC", 100_000.0)
    assert (row["bid_price"], row["bid_amount"], row["bid_iv"]) == (0.0615, 12.5, 0.365)
    assert (row["ask_price"], row["ask_amount"], row["ask_iv"]) == (None, None, None)
    assert (row["delta"], row["rho"], row["volume"], row["mark_iv"]) == (0.7, 25.0, 3.0, 0.379)


def test_each_currency_has_the_options_that_settle_in_it_and_no_other_instrument(lake):
    linear = "BTC_USDC-27JUN25-100000-C"
    names = (CALL, linear, "ETH-27JUN25-2500-C", "BTC-PERPETUAL", "BTC-27JUN25", "BTC_USDC")
    hear(lake, "ticker", *(told(0, name) for name in names))

    kept = {
        currency: fold(lake, Partition("option_tickers", currency, "2025-06-15"))
        .rows["instrument"]
        .to_pylist()
        for currency in ("BTC", "ETH", "USDC", "SOL")
    }

    assert kept == {"BTC": [CALL], "ETH": ["ETH-27JUN25-2500-C"], "USDC": [linear], "SOL": []}
    assert [one.part for one in staged(lake)] == ["BTC", "ETH", "USDC"]


def test_channels_say_which_option_they_are_of():
    assert option_of(f"ticker.{CALL}.100ms") == (CALL, "BTC")
    assert option_of("ticker.XRP_USDC-30JUN23-0d625-C.agg2")[1] == "USDC"
    assert currencies_of(["ticker.BTC-PERPETUAL.raw", "odd", "ticker..", "ticker.BTC.raw"]) == set()


def test_an_option_that_is_heard_on_two_channels_and_connections_has_one_row(lake):
    hear(lake, "ticker", told(10, mark_price=0.5), connection=1)

    kept, _ = folded(lake, told(9, interval="100ms"), told(8))

    assert kept["mark_price"].to_list() == [0.5]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (told(500, PUT, mark_iv="37.9"), "mark_iv:type"),
        (told(500, PUT, greeks=7, stats=[]), "stats:type,greeks:type"),
        (told(500, PUT, instrument_name=CALL), "instrument:other_channel"),
        ((START + 500, f"ticker.{PUT}.agg2", b"{no JSON"), "message:unreadable"),
        ((START + 500, f"ticker.{PUT}.agg2", b'{"params":{"data":{}}}'), "message:unreadable"),
        ((START + 500, f"ticker.{PUT}.agg2", b"[1]"), "message:unreadable"),
        (told(500, PUT, mark_iv=-1.0), "mark_iv:not_negative"),
        (told(-70_000, PUT, late=70_500), "quoted_at:other_instant"),
        (told(MINUTE + 60_001, PUT, late=-MINUTE - 60_000), "quoted_at:other_instant"),
        (told(500, "BTC-14JUN25-100000-P"), "after_expiry"),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_a_row_is_set_aside_and_takes_no_other_with_it(lake, odd, reason):
    kept, aside = folded(lake, told(0), odd)

    assert kept["instrument"].to_list() == [CALL]
    assert aside["failed_check"].to_list() == [reason]
    assert aside["attempt_id"].str.contains(r"^\d+-0$").to_list() == [True]


def test_two_messages_that_make_one_when_read_together_are_two(lake):
    halves = b'{"params":{"data":{"instrument_name":"x","timestamp":1}}},{"params":', b"0}"
    kept, aside = folded(
        lake, told(0), *((START + n, f"ticker.{PUT}.{n}", body) for n, body in enumerate(halves))
    )

    assert kept["instrument"].to_list() == [CALL]
    assert aside["failed_check"].to_list() == ["message:unreadable"]


def test_numbers_may_come_in_exponent_form(lake):
    _, channel, data = told(0)
    body = json.dumps({"params": {"data": data}}).replace(str(START), f"{START / 1e12!r}e12")

    kept, aside = folded(lake, (START + 20, channel, body.encode()))

    assert (kept["quoted_at"].to_list(), len(aside)) == ([at(0)], 0)


def test_the_last_minute_of_a_day_is_of_the_instant_the_next_begins_with(lake):
    midnight = 15 * HOUR
    hear(lake, "ticker", told(midnight - MINUTE - 50), told(midnight - 50), told(midnight))

    days = [fold(lake, Partition("option_tickers", "BTC", f"2025-06-{n}")) for n in (15, 16)]

    assert [one.rows["timestamp"].to_pylist() for one in days] == [
        [at(midnight - MINUTE)],
        [at(midnight), at(midnight + MINUTE)],
    ]
    assert sum(one.rejected.num_rows for one in days) == 0


def test_a_day_that_has_the_last_minute_of_the_one_before_alone_is_staged(lake):
    hear(lake, "ticker", told(14 * HOUR))
    assert [one.period for one in staged(lake)] == ["2025-06-15"]

    hear(lake, "ticker", told(15 * HOUR - 50))

    assert [one.period for one in staged(lake)] == ["2025-06-15", "2025-06-16"]


def answered(lake, rows, heard_ms):
    raw.stage([attempt(rows, heard_ms=heard_ms)], folder_of(lake, CHAIN, "BTC", PARTITION.period))


def test_snapshots_of_answers_stand_beside_those_of_messages(lake):
    answered(lake, [summary(creation_timestamp=START + 30_500)], START + 31_000)

    kept, _ = folded(lake, told(0), told(MINUTE))

    assert kept["timestamp"].to_list() == [at(30_500), at(MINUTE), at(2 * MINUTE)]
    assert kept["delta"].to_list() == [None, 0.7, 0.7]


def test_at_one_instant_the_message_counts(lake):
    answered(lake, [summary(creation_timestamp=START + MINUTE)], START + MINUTE + 500)

    kept, _ = folded(lake, told(0))

    assert kept.select("timestamp", "delta").rows() == [(at(MINUTE), 0.7)]


@pytest.mark.parametrize("seed", range(8))
def test_folded_as_it_comes_or_all_at_once_the_same_bytes_come_out(lake, seed):
    dice = random.Random(seed)  # noqa: S311  (quotes, not secrets)
    for _ in range(10):
        start = dice.choice([0, HOUR - 900, HOUR, 2 * HOUR, 15 * HOUR - 800, -9 * HOUR - 700])
        if dice.random() < 0.35:
            at_ms = START + dice.choice([start + dice.randrange(900), HOUR, 2 * HOUR])
            at_ms = max(at_ms, START - 9 * HOUR)
            answered(lake, [summary(creation_timestamp=at_ms), summary(PUT, bid_price="0")], at_ms)
        else:
            odd = dice.choice([{}, {}, {"mark_iv": "x"}, {"mark_iv": -1.0}])
            one, other = dice.randrange(1_500), dice.randrange(1_500)
            hear(lake, "ticker", told(start + one, **odd), told(start + other, PUT))
        record = refresh(lake, PARTITION)
    paths = [lake.clean(PARTITION), lake.quarantine(PARTITION), lake.ledger(PARTITION)]
    held = [path.read_bytes() if path.exists() else None for path in paths]

    assert refresh(lake, PARTITION, anew=True) == record
    assert [path.read_bytes() if path.exists() else None for path in paths] == held
    assert record.rows >= 2


def test_a_line_that_cannot_be_read_is_mended_by_a_rebuild(lake):
    hear(lake, "ticker", told(0))
    record = refresh(lake, PARTITION)
    lake.ledger(PARTITION).write_bytes(b"no line")

    assert list(staged(lake)) == [PARTITION]
    assert refresh(lake, PARTITION, anew=True) == record


def test_hours_that_are_folded_are_not_read_again(lake):
    (path,) = hear(lake, "ticker", told(0)).files
    refresh(lake, PARTITION)
    path.write_bytes(b"no longer Parquet")
    hear(lake, "ticker", told(HOUR))

    assert refresh(lake, PARTITION).rows == 2
    with pytest.raises(CorruptFileError):
        refresh(lake, PARTITION, anew=True)


def test_what_is_thinned_before_makes_the_same_rows(tmp_path):
    messages = [
        told(ms, name, mark_price=ms / 1e6)
        for name in (CALL, PUT)
        for ms in range(0, 5 * MINUTE, 7_000)
    ]
    contents = []
    for name, thin in (("all", {}), ("thinned", {"ticker": last_a_minute})):
        lake = open_lake(tmp_path / name, create=True)
        hear(lake, "ticker", *messages, thin=thin)
        contents.append(fold(lake, PARTITION).rows)

    assert contents[0].num_rows == 10
    assert contents[0].equals(contents[1])


def test_a_currency_whose_fold_was_prevented_is_not_forgotten(lake):
    hear(lake, "ticker", told(0), told(0, "ETH-27JUN25-2500-C"))
    assert {one.verdict for one in statuses(lake, "option_tickers")} == {"UNKNOWN"}

    refresh(lake, PARTITION)

    verdicts = {one.instrument: one.verdict for one in statuses(lake, "option_tickers")}
    assert verdicts == {"BTC": "COMPLETE", "ETH": "UNKNOWN"}
    assert [one.part for one, _ in refresh_all(lake)] == ["ETH"]
    assert {one.verdict for one in statuses(lake, "option_tickers")} == {"COMPLETE"}
    assert list(verify(lake)) == []


def test_a_line_names_the_files_of_its_day_and_of_the_hour_before(lake):
    for ms in (-11 * HOUR, -9 * HOUR - 5_000, 0, 15 * HOUR):
        hear(lake, "ticker", told(ms))

    assert [
        name.split("/")[2:][0] + name.split("/")[3][:3] for name in segments(lake, PARTITION)
    ] == [
        "day=2025-06-1423-",
        "day=2025-06-1509-",
    ]


def of_market(row):
    """The message that tells a simulated ticker."""
    ms = round(row["quoted_at"].timestamp() * 1000)
    same = ("mark_price", "underlying_price", "index_price")
    data = {
        "instrument_name": row["instrument"],
        "timestamp": ms,
        "mark_iv": round(row["mark_iv"] * 100, 8),
        "greeks": {name: row[name] for name in ("delta", "gamma", "vega", "theta", "rho")},
        **{name: row[name] for name in same},
    }
    return (ms + 20, f"ticker.{row['instrument']}.100ms", data)


def test_greeks_of_tickers_that_came_over_sockets_are_validated(lake):
    sent = [of_market(row) for row in greek_tickers.tickers("BTC", START).to_dicts()]
    hear(lake, "ticker", *sorted(sent, key=lambda message: message[0]))
    ((_, record),) = refresh_all(lake)

    report = validate(lake, ["BTC"], days=1, span=None, age_s=0.0, stale_s=60.0)

    assert record.rows == len(sent) > 100
    assert report.verdict == "PASS"
    assert report.table["outside"].sum() == 0


@pytest.mark.skipif(not SESSION.exists(), reason="the recorded session is not at hand")
def test_every_recorded_ticker_of_an_option_is_kept(lake):
    lines = [
        (float(stamp), body)
        for line in SESSION.read_text().splitlines()
        if '"ticker.' in line and (stamp := line.partition(": ")[0]).replace(".", "").isdigit()
        and '"method":"subscription"' in (body := line.partition(": ")[2])
    ]  # fmt: skip
    messages = [
        (stamp * 1000, json.loads(body)["params"]["channel"], body.encode())
        for stamp, body in lines
    ]
    options = {option_of(channel) for _, channel, _ in messages} - {None}
    settled = hear(lake, "ticker", *messages)

    kept = [refresh(lake, one) for one in staged(lake)]

    assert settled.messages == len(messages) > 10
    assert sum(one.rows for one in kept) >= len(options) > 0
    assert sum(one.quarantined for one in kept) == 0
