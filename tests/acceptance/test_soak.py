"""Two hours of trouble around a midnight; the whole day of it is `just bench soak`."""

import pytest

from tests.soak import DAY, Plan, soak

PLAN = Plan(
    start=f"{DAY}T23:05",
    end="2025-10-19T01:30",
    speed=50,
    kills=3,
    breaks=((f"{DAY}T23:50", "2025-10-19T00:10"),),
)


@pytest.mark.slow
def test_a_collector_loses_nothing_in_trouble_and_rings_for_what_it_should(tmp_path):
    found = soak(tmp_path, PLAN)

    assert found.exit_code == 0
    assert found.verdict == "COMPLETE"
    assert found.candles == 13 * 1_440
    assert found.trades > 1_000
    assert len(found.kills) == PLAN.kills
    assert found.stats["socket"]["closed"]["cut"] > 2
    assert {alarm.name for alarm in found.rung} & {"maintenance", "everything", "start"}
    assert found.faults == []
