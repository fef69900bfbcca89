"""A nightly `sync` on the lake of a collector that runs: neither stops the other."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from lake.paths import Lake
from lake.verify import verify
from tests.etl.collect.collecting import ROOT, collecting

JUST_BEFORE = datetime(2025, 10, 19, 0, 8, tzinfo=UTC).timestamp()  # the fold


@pytest.mark.slow
def test_a_sync_beside_a_collector_that_folds_a_day_ends_complete(tmp_path):
    with collecting(tmp_path, now="2025-10-18T23:50:00Z", speed=30.0, fold_at="00:10") as (
        collector,
        _,
    ):
        collector.until("socket 1: ")
        first = sync(collector)
        collector.wait(25 * 60)  # past the fold of the day before
        second = sync(collector)
        left = collector.stop()

    for done in (first, second):
        assert done.returncode == 0, done.stderr
        assert {one["state"] for one in json.loads(done.stdout)["stages"]} == {"done"}
    assert left in (0, 143)
    assert "Traceback" not in collector.log
    assert list(verify(Lake(collector.lake))) == []


def sync(collector):
    """Run it in the collector's own time."""
    kept = {"SINCE": "2025-10-17", "BUSY_MINUTES": "30"}
    own = {f"DERIBIT_LAKE_KEEP__{name}": text for name, text in kept.items()}
    return subprocess.run(
        [sys.executable, "-m", "cli", "sync", "--json"],
        env={**collector._environment(), **own},  # noqa: SLF001  (its clock and its limits)
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_trailing_hours_read_while_a_collector_folds_them_change_nothing(tmp_path):
    """Both ask for the same two days, and publish the same partitions, at the same moment."""
    with collecting(tmp_path, now="2025-10-18T23:50:00Z", speed=30.0, fold_at="00:10") as (
        collector,
        _,
    ):
        collector.until("socket 1: ")
        first = sync(collector)
        trailing = collector.lake / "operations" / "trailing.json"
        done = [first]
        while collector.clock.time() < JUST_BEFORE:  # at once on a slow machine
            collector.wait(30)
        while "folded " not in collector.log and len(done) < 60:
            trailing.unlink()
            done.append(sync(collector))
        trailing.unlink()
        done.append(sync(collector))
        collector.stop()

    assert 2 < len(done) < 60
    for one in done:
        assert one.returncode == 0, one.stderr + one.stdout
    held = {one["dataset"]: one["rows"] for one in json.loads(done[-1].stdout)["datasets"]}
    assert held["funding_rates"] >= 2 * 48
    assert "Traceback" not in collector.log
    assert list(verify(Lake(collector.lake))) == []
