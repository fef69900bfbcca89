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


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="a small disk needs the right to mount a tmpfs")
@pytest.mark.parametrize("pages", [1, 20, 50])
def test_a_disk_that_fills_up_in_mid_run_harms_nothing(tmp_path, pages):
    ran = on_a_small_disk(
        tmp_path,
        "30m",
        lambda disk, run, verify: (
            f"""
            (until [ "$(ls {disk}/lake/raw/*/*/*/*/*.parquet | wc -l)" -ge {pages} ]
             do sleep 0.02; done 2>/dev/null; cat /dev/zero > {disk}/hog 2>/dev/null) &
            {run}; echo "backfill $?"; wait; {verify}; echo "verify $?"; rm {disk}/hog
            {run}; echo "backfill $?"; {verify}; echo "verify $?"
        """
        ),
    )

    assert outcomes(ran) == ["backfill 1", "verify 0", "backfill 0", "verify 0"], ran.stderr
    (error,) = [line for line in ran.stderr.splitlines() if line.startswith("error:")]
    assert error.startswith("error: no space left on the disk that holds ")
    assert "Traceback" not in ran.stderr


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="a small disk needs the right to mount a tmpfs")
def test_a_run_that_would_fill_the_disk_does_not_start(tmp_path):
    ran = on_a_small_disk(tmp_path, "2m", lambda disk, run, verify: f'{run}; echo "backfill $?"')

    assert outcomes(ran) == ["backfill 1"]
    assert "15 MB are needed on the disk" in ran.stderr


def on_a_small_disk(tmp_path, size, script):
    disk = tmp_path / "disk"
    disk.mkdir()
    with running(latency_ms=200) as exchange:
        product = Product(disk / "lake", exchange.url, (("DERIBIT_LAKE_LOG_DIR", str(tmp_path)),))
        run, verify = (shlex.join(product.command(*words)) for words in (BACKFILL, ("verify",)))
        mount = f"mount -t tmpfs -o size={size} tmpfs {disk}\n"
        return subprocess.run(
            [*NAMESPACE, "bash", "-c", mount + script(disk, run, verify)],
            cwd=ROOT,
            env={**product.environment, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )


def outcomes(ran):
    return [line for line in ran.stdout.splitlines() if line.startswith(("backfill", "verify"))]
