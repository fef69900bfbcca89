from datetime import UTC, datetime

import polars as pl
import pytest

from validators.resolutions import RESOLUTIONS, is_on_grid


def test_deribit_has_twelve_resolutions():
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
