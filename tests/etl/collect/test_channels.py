import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.collect import channels


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("ticker.BTC-27MAR26-100000-C.agg2", "ticker"),
        ("incremental_ticker.BTC-PERPETUAL", "incremental_ticker"),
        ("chart.trades.XRP_USDC-PERPETUAL.1", "chart.trades"),
        ("trades.option.USDC.100ms", "trades"),
        ("deribit_price_index.btc_usd", "deribit_price_index"),
        ("markprice.options.btc_usd", "markprice"),
        ("instrument.state.any.any", "instrument.state"),
        ("platform_state", "platform_state"),
        ("../../etc/passwd", "other"),
        ("", "other"),
    ],
)
def test_a_name_tells_its_family(name, family):
    assert channels.family_of(name) == family


@given(st.text())
def test_a_family_always_can_be_a_folder(name):
    family = channels.family_of(name)
    assert family
    assert not {"/", "\\", "\0", " "} & set(family)
    assert family.strip(".") == family
    assert len(family) < 80


@given(st.lists(st.text("ABC_-0123456789.", min_size=1, max_size=60), max_size=2_000))
def test_calls_name_every_channel_once_and_none_is_too_large(names):
    frames = list(channels.calls("public/subscribe", names, 7))
    told = [msgspec.json.decode(frame) for _, frame in frames]
    assert [name for one in told for name in one["params"]["channels"]] == names
    assert [one["id"] for one in told] == list(range(7, 7 + len(frames)))
    assert all(len(one["params"]["channels"]) <= 500 for one in told)
    assert all(len(frame) < 32_000 for _, frame in frames)
