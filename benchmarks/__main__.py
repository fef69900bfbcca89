"""``python -m benchmarks [TABLE …]``: every table, or those named, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ONE_CORE = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
NO_AVX512 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
TABLES = {
    "backfill": {},
    "option_backfill": {},
    "builds": {},
    "report": {},
    "replay": ONE_CORE,
    "contract": ONE_CORE,
    "query": {},
    "quality": {},
    "basis": ONE_CORE,
    "option_candles": ONE_CORE,
    "option_iv": ONE_CORE | {"RAYON_NUM_THREADS": "1"},
    "greeks": ONE_CORE,
    "greeks_peers": ONE_CORE | {"RAYON_NUM_THREADS": "1"},
    "greeks_years": {},
    "cluster": {},
    "option_queries": {},
    "instruments": {},
    "load": {},
    "load_live": {},
    "load_options": {},
    "community": {},
    "sizes": {},
    "sizing": ONE_CORE,
    "command": {},
    "backup": {},
    "objects": {},
    "push": {},
    "exchange": {},
    "quant": ONE_CORE,
    "quant_avx2": ONE_CORE | NO_AVX512,
    "option_iv_peers": ONE_CORE | {"RAYON_NUM_THREADS": "1"},
    "quant_start": {},
    "surface": ONE_CORE,
    "journal": ONE_CORE,
    "collect": ONE_CORE,
    "collect_peers": ONE_CORE,
    "collect_latency": {},
    "collect_stop": {},
    "collect_disk": {},
    "soak": {},
    "sync": {},
}


def main() -> None:
    """Run the tables and end with the worst exit code."""
    chosen = sys.argv[1:] or list(TABLES)
    unknown = [name for name in chosen if name not in TABLES]
    if unknown:
        sys.exit(f"no table {unknown[0]!r}; there are {', '.join(TABLES)}")
    sys.exit(max(_run(name) for name in chosen))


def _run(name: str) -> int:
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    root = Path(__file__).parents[1]
    return subprocess.run(command, cwd=root, env=os.environ | TABLES[name], check=False).returncode


if __name__ == "__main__":
    main()
