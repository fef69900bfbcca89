"""A chain and tickers Deribit really sent, kept as the lake keeps them."""

import json

import polars as pl
import pytest

from etl.snapshots.answers import check_chain, decode_chain
from etl.snapshots.fold import fold
from lake.partition import Partition
from quant.black76 import with_price_and_greeks
from quant.conventions import tenor
from tests.etl.snapshots.test_fold import attempt, lake_of
from tests.quant.recorded import RECORDED

pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded bodies are not here (../shared/data)"
)
CHAIN = "book_summary_2025_06/BTC_option_book_summary_20250615_055819.json"
HEARD_MS = 1_749_938_299_600  # the file's own rows are the only clock it has


def recorded(name):
    return json.loads((RECORDED / name).read_text())


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    sent = attempt(recorded(CHAIN), heard_ms=HEARD_MS)
    lake = lake_of(tmp_path_factory.mktemp("chain"), sent)
    return fold(lake, Partition("option_tickers", "BTC", "2025-06-14"))


def test_every_option_of_a_recorded_chain_is_kept(chain):
    kept = pl.DataFrame(chain.rows)

    assert (len(kept), chain.rejected.num_rows) == (746, 0)
    assert kept["expiry"].n_unique() == 11
    assert kept["timestamp"].n_unique() == 1
    assert (kept["timestamp"] - kept["quoted_at"]).dt.total_milliseconds().max() == 8
    assert (kept["bid_price"].null_count(), kept["ask_price"].null_count()) == (109, 61)
    assert kept["index_price"].unique().to_list() == [105383.56]


def test_the_marks_of_a_recorded_chain_are_black_76_of_its_forward_and_volatility(chain):
    kept = pl.DataFrame(chain.rows)
    quotes = kept.select(
        "strike",
        "option_type",
        "mark_price",
        pl.col("underlying_price").alias("forward"),
        pl.col("mark_iv").alias("iv"),
        tenor(pl.col("timestamp"), pl.col("expiry")).alias("tenor"),
        pl.lit("reversed").alias("instrument_type"),
    )
    priced = with_price_and_greeks(quotes)

    off = (priced["model_price"] - priced["mark_price"]).abs()
    assert off.max() < 6e-4  # mark_iv has two decimals
    assert off.median() < 2e-5


def test_a_recorded_chain_is_none_of_another_currency():
    body = json.dumps({"result": recorded(CHAIN)}).encode()

    assert set(decode_chain(body)["refused"]) == {None}
    with pytest.raises(ValueError, match="it sent BTC"):
        check_chain("ETH")(json.dumps(recorded(CHAIN)).encode())


def test_recorded_tickers_bring_the_exchange_s_greeks(tmp_path):
    sent = recorded("rest_results_2026_09/option_tickers.json").values()
    of_btc = [one for one in sent if one["instrument_name"].startswith("BTC-")]
    of_ms = min(one["timestamp"] for one in of_btc)
    quotes = [
        {"instrument_name": one["instrument_name"], "creation_timestamp": of_ms} for one in of_btc
    ]
    tickers = [attempt(one, of_ms=of_ms) for one in of_btc]
    lake = lake_of(tmp_path, attempt(quotes, heard_ms=of_ms), tickers=tickers)
    content = fold(lake, Partition("option_tickers", "BTC", "2026-09-20"))
    kept = {row["instrument"]: row for row in content.rows.to_pylist()}

    assert content.rejected.num_rows == 0
    assert kept.keys() == {one["instrument_name"] for one in of_btc}
    for one in of_btc:
        row = kept[one["instrument_name"]]
        assert row["delta"] == one["greeks"]["delta"]
        assert row["bid_iv"] == (round(one["bid_iv"] / 100, 10) or None)
