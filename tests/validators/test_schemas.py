from datetime import UTC, datetime

import polars as pl
import pytest

from validators.schemas import RESOLUTIONS, Candles, FundingRates, candles_model, is_on_grid


@pytest.mark.parametrize("model", [Candles, FundingRates, candles_model("1D")])
def test_every_number_has_a_unit(model):
    unitless = [
        name
        for name, column in model.to_schema().columns.items()
        if column.dtype.type.is_numeric() and not (column.metadata or {}).get("unit")
    ]

    assert unitless == []


def test_a_candle_has_the_columns_everybody_expects_in_their_order():
    expected = ["timestamp", "instrument", "open", "high", "low", "close", "volume", "cost"]

    assert list(Candles.to_schema().columns) == expected


def test_a_resolution_has_one_model():
    assert candles_model("60") is candles_model("60")


def test_deribit_has_twelve_resolutions():
    with pytest.raises(KeyError):
        candles_model("240")

    assert ",".join(RESOLUTIONS) == "1,3,5,10,15,30,60,120,180,360,720,1D"


@pytest.mark.parametrize(
    ("resolution", "hour", "minute", "expected"),
    [
        ("1", 0, 1, True),
        ("3", 0, 3, True),
        ("3", 0, 4, False),
        ("60", 9, 0, True),
        ("60", 9, 30, False),
        ("120", 8, 0, True),
        ("120", 9, 0, False),
        ("180", 3, 0, True),
        ("180", 8, 0, True),
        ("180", 1, 0, False),
        ("360", 6, 0, True),
        ("360", 14, 0, True),
        ("720", 0, 0, True),
        ("720", 20, 0, True),
        ("720", 4, 0, False),
        ("1D", 8, 0, True),
        ("1D", 0, 0, False),
    ],
)
def test_candles_open_on_the_grid_of_midnight_or_of_settlement(resolution, hour, minute, expected):
    frame = pl.DataFrame({"timestamp": [datetime(2024, 2, 29, hour, minute, tzinfo=UTC)]})

    assert frame.select(is_on_grid(resolution)).item() is expected


def test_a_candle_a_microsecond_late_is_off_the_grid():
    frame = pl.DataFrame({"timestamp": [datetime(2024, 2, 29, 8, 0, 0, 1, tzinfo=UTC)]})

    assert not frame.select(is_on_grid("1")).item()
