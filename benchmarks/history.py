"""A lake of all BTC-PERPETUAL minutes, made from the simulated exchange and kept between runs."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from etl.config import Settings, load_settings
from tests.exchange.running import running

INSTRUMENT, TABLE = "BTC-PERPETUAL", "perpetuals_ohlcv"
START, END = "2016-12-01", "2025-10-18"
LIMITLESS = {"DERIBIT_LAKE_CREDIT_REFILL": "1e9", "DERIBIT_LAKE_CREDIT_CAPACITY": "1e9"}


def full_lake() -> Settings:
    """Return the settings of a complete lake; the first call takes a minute, later ones seconds.

    Call it before a process is pinned: the exchange and the backfill run beside it.
    """
    root = Path(tempfile.gettempdir()) / f"deribit-lake-bench-{os.getuid()}"
    with running(limits=False) as exchange:
        command = [str(Path(sys.executable).with_name("deribit-lake"))]
        command += ["--host", exchange.url, "--lake", str(root / "lake"), "backfill", "perpetuals"]
        command += ["--instruments", INSTRUMENT, "--start", START, "--end", END]
        own = {name: value for name, value in os.environ.items() if name != "POLARS_MAX_THREADS"}
        environment = own | LIMITLESS | {"DERIBIT_LAKE_LOG_DIR": str(root / "logs")}
        subprocess.run(command, env=environment, check=True, capture_output=True)
    return load_settings(root=root / "lake", log_dir=root / "logs")
