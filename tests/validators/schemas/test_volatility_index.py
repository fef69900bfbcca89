import pytest

from validators.schemas.volatility_index import volatility_index_model
from validators.table import facts_of


def test_bars_of_a_minute_have_a_table():
    assert facts_of(volatility_index_model(60_000)).name == "volatility_index"


@pytest.mark.parametrize("step_ms", [3_600_000, 43_200_000, 86_400_000])
def test_longer_bars_have_none(step_ms):
    assert facts_of(volatility_index_model(step_ms)) is None
