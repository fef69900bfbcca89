"""A full disk is one clear error; the lake stays whole, and the run ends once there is room."""

import os
import shlex
import subprocess

import pytest

from tests.acceptance.command import ROOT, Product
from tests.exchange.running import running

BACKFILL = ("backfill", "perpetuals", "--instruments", "BTC-PERPETUAL", "--start", "2025-01-01")
NAMESPACE = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])


def can_mount():
    probe = [*NAMESPACE, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


FILLS_UP = """
    (for _ in $(seq 1000)
     do [ "$(ls $DISK/lake/raw/*/*/*/*/*.parquet | wc -l)" -ge $PAGES ] && break; sleep 0.02
     done 2>/dev/null; cat /dev/zero > $DISK/hog 2>/dev/null) &
    $BACKFILL; echo "backfill $?"; wait; $VERIFY; echo "verify $?"; rm $DISK/hog
    $BACKFILL; echo "backfill $?"; $VERIFY; echo "verify $?"
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_mount(), reason="a small disk needs the right to mount a tmpfs"),
]


@pytest.mark.parametrize("pages", [1, 10, 25])  # before 32, when they are merged
def test_a_disk_that_fills_up_in_mid_run_harms_nothing(tmp_path, pages):
    ran = on_a_small_disk(tmp_path, "30m", FILLS_UP, PAGES=str(pages))

    assert outcomes(ran) == ["backfill 1", "verify 0", "backfill 0", "verify 0"], ran.stderr
    (error,) = [line for line in ran.stderr.splitlines() if line.startswith("error:")]
    assert error.startswith("error: no space left on the disk that holds ")
    assert "Traceback" not in ran.stderr


def test_a_run_that_would_fill_the_disk_does_not_start(tmp_path):
    ran = on_a_small_disk(tmp_path, "2m", '$BACKFILL; echo "backfill $?"')

    assert outcomes(ran) == ["backfill 1"]
    assert "15 MB are needed on the disk" in ran.stderr


def on_a_small_disk(tmp_path, size, script, **variables):
    disk = tmp_path / "disk"
    disk.mkdir()
    with running(latency_ms=200) as exchange:
        product = Product(disk / "lake", exchange.url, (("DERIBIT_LAKE_LOG_DIR", str(tmp_path)),))
        variables |= {"BACKFILL": shlex.join(product.command(*BACKFILL))}
        variables |= {"VERIFY": shlex.join(product.command("verify")), "DISK": str(disk)}
        mount = f"mount -t tmpfs -o size={size} tmpfs {disk}\n"
        return subprocess.run(
            [*NAMESPACE, "bash", "-c", mount + script],
            cwd=ROOT,
            env={**product.environment, "TMPDIR": str(tmp_path), **variables},
            capture_output=True,
            text=True,
            check=False,
        )


def outcomes(ran):
    return [line for line in ran.stdout.splitlines() if line.startswith(("backfill", "verify"))]
