import pytest

from etl.errors import EtlError, UsageError
from etl.outcome import outcome_kept
from etl.pings import Check
from lake.errors import NotWritableError
from lake.operations import read_outcome
from lake.paths import Lake
from tests.etl.collect.health.healthchecks import listening


def ended_by(lake, error, check=None, **told):
    """Let an operation end by an error."""
    with outcome_kept(lake, "sync", check or Check(None), **told):
        raise error


@pytest.mark.parametrize(
    ("error", "code", "why"),
    [
        (EtlError("no"), 1, "no"),
        (UsageError("nothing of it"), 2, "nothing of it"),
        (ZeroDivisionError("a bug"), 1, "it broke off"),
        (KeyboardInterrupt(), 143, "interrupted"),
    ],
)
def test_whatever_ends_an_operation_is_kept_in_place_of_the_last(tmp_path, error, code, why):
    lake = Lake(tmp_path)
    with outcome_kept(lake, "sync", Check(None)) as ending:
        ending.exit_code, ending.error = 0, None
    assert read_outcome(lake, "sync").is_good
    with pytest.raises(type(error)):
        ended_by(lake, error, stop_code=lambda: 143, usage_code=2)

    outcome = read_outcome(lake, "sync")
    assert (outcome.exit_code, outcome.error) == (code, why)


def test_who_stops_an_operation_waits_for_no_ping(tmp_path):
    with listening() as checks, pytest.raises(KeyboardInterrupt):
        ended_by(Lake(tmp_path), KeyboardInterrupt(), Check(checks.url))
    assert checks.whats() == ["start"]


def test_a_check_is_told_though_the_lake_takes_no_outcome(tmp_path):
    (tmp_path / "operations").write_text("in the way")
    with listening() as checks, pytest.raises(EtlError, match="no room"):
        ended_by(Lake(tmp_path), EtlError("no room"), Check(checks.url))
    assert (checks.whats(), checks.pings[-1].body) == (["start", "1"], "no room")


def test_a_good_end_the_lake_cannot_keep_is_none(tmp_path):
    (tmp_path / "operations").write_text("in the way")
    with (
        listening() as checks,
        pytest.raises(NotWritableError),
        outcome_kept(Lake(tmp_path), "sync", Check(checks.url)) as ending,
    ):
        ending.exit_code, ending.error = 0, None
    assert checks.whats() == ["start", "1"]


def test_a_check_whose_address_leads_nowhere_stops_nothing(tmp_path, caplog):
    with outcome_kept(Lake(tmp_path), "sync", Check("http://127.0.0.1:9/ping/swordfish")) as ending:
        ending.exit_code, ending.error = 0, None
    assert "pings to 127.0.0.1 do not count: ConnectError" in caplog.text
    assert "swordfish" not in caplog.text
