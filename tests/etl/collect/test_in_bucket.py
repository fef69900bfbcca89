"""A collector whose lake is in a bucket: alone in it, and nothing is lost while it is away."""

import io
import json
import time
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl
import pytest

from tests.accelerated import Clock
from tests.acceptance.in_bucket import put
from tests.etl.collect.collecting import NOW, PATIENCE_S, PERPETUALS, Collecting
from tests.exchange.running import running
from tests.objects.server import KEYS, REGION, Server
from tests.objects.wire import Wire, wired

LIVE = "lake/live/perpetuals_ohlcv/2025-10-18.parquet"
LOCK = "lake/live/collect.lock"
UP = "channels are asked for"
SPEED = 60.0
AWAY_S = 400.0  # of the collector's


@dataclass
class Bucketed(Collecting):
    """A collector of a lake in a bucket."""

    bucket: str = ""
    server: Server | None = None
    wire: Wire | None = None
    work: str = "work"

    def _environment(self):
        told = {
            "DERIBIT_LAKE_ROOT": f"s3://{self.bucket}/lake",
            "DERIBIT_LAKE_S3__WORK_DIR": str(self.root / self.work),
            "DERIBIT_LAKE_S3__LEASE_SECONDS": "5",
            "AWS_ENDPOINT_URL": self.wire.address,
            "AWS_REGION": REGION,
        }
        return super()._environment() | told | KEYS

    def live(self):
        """Return the live candles in the bucket, None where there are none yet."""
        if LIVE not in self.server.objects(self.bucket):
            return None
        return pl.read_parquet(io.BytesIO(self.server.read(self.bucket, LIVE)))

    def until_live(self, after=None):
        """Return the live candles once there are some, later ones than a moment."""
        end = time.monotonic() + PATIENCE_S
        while (found := self.live()) is None or (after and found["timestamp"].max() <= after):
            assert time.monotonic() < end, self.log
            time.sleep(0.2)
        return found

    def ended(self):
        """Return with what it ended by itself."""
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def collector(object_server, tmp_path):
    clock = Clock.from_now(datetime.fromisoformat(NOW).timestamp(), SPEED)
    with (
        running(now=NOW, speed=SPEED, started=clock.started, limits=False) as exchange,
        wired(object_server.port) as wire,
    ):
        told = {"bucket": object_server.bucket(), "server": object_server, "wire": wire}
        kinds = {"kinds": ("candles", "index")}
        one = Bucketed(tmp_path / "b", exchange.url, clock, kinds, **told)
        try:
            yield one.start()
        finally:
            if one.process.poll() is None:
                one.kill()


def beside(one, **told):
    """Return a second collector of the same lake."""
    return replace(one, process=None, **told).start()


@pytest.mark.slow
def test_a_bucket_that_is_away_for_minutes_costs_nothing_and_rings(collector):
    before = collector.until_live()["timestamp"].max()
    collector.wire.dead = True
    collector.wait(AWAY_S)
    collector.until("alarm bucket: the bucket has not taken the live day")
    collector.wire.dead = False
    rows = collector.until_live(after=before)
    collector.until("alarm bucket is over")
    minutes = rows.filter(instrument=PERPETUALS[0])["timestamp"].sort()
    assert collector.stop() == 0, collector.log

    assert "the live day cannot be written" in collector.log
    assert set(minutes.diff().drop_nulls().dt.total_minutes()) == {1}
    journals = sorted((collector.root / "work").glob("*/journal/*.arrow"))
    assert journals

    collector.start().until("messages kept", len(journals))
    left = sorted((collector.root / "work").glob("*/journal/*.arrow"))
    assert not {*journals} & {*left}
    found = collector.server.objects(collector.bucket)
    assert any(name.startswith("lake/raw/socket/") for name in found)


def test_two_collectors_of_a_lake_refuse_each_other_and_one_that_was_killed_is_no_more(
    collector, tmp_path
):
    collector.until(UP)
    elsewhere = beside(collector, root=tmp_path / "c")
    here = beside(collector, root=tmp_path / "d", work="../b/work")
    codes = elsewhere.ended(), here.ended()

    assert codes == (1, 1)
    pid = collector.process.pid
    assert f"the live day of this lake is being written by process {pid} of" in elsewhere.log
    assert f"is being written by process {pid}; wait for it to end" in here.log
    assert "the journal in" in here.log

    collector.kill()
    collector.start().until(UP, 2)
    assert collector.stop() == 0, collector.log


@pytest.mark.slow
def test_a_collector_whose_lake_was_taken_over_ends_with_one_line(collector):
    collector.until_live()
    other = {"host": "another", "boot": "x", "pid": 7, "started": 1, "nonce": "y"}
    put(collector.server, collector.bucket, LOCK, json.dumps(other))

    assert collector.ended() == 1
    last = collector.log.strip().splitlines()[-1]
    assert last.startswith(f"error: another collector has taken s3://{collector.bucket}/lake over")
