"""The database stops under a collector: collecting goes on, and nothing is lost."""

import pytest

from tests.database.stopped import stop_database


@pytest.mark.slow
@pytest.mark.usefixtures("programs")
def test_a_database_that_was_away_has_every_live_row_within_a_minute_of_its_return(tmp_path):
    found = stop_database(tmp_path, stopped_s=180.0, speed=4.0)

    assert found.waiting > 0
    assert found.seconds <= 60.0
    assert (found.missing, found.code) == (0, 0)
    assert found.rows > found.waiting
