"""What option mathematics costs before the first row: imports, the first call, memory."""

import subprocess
import sys

from benchmarks.machine import show

RUNS = 5
IMPORT = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
FIRST_CALL = """
import time, numpy as np
from quant.kernels.{module} import {function}
x = np.ones(100)
t = time.perf_counter(); {function}({first}, x, x, {last}, x > 0); print(time.perf_counter() - t)
"""
MEMORY = """
import numpy as np, polars as pl
from quant.implied_vol import with_implied_vol
def frame(n):
    random = np.random.default_rng(0)
    price, forward = random.uniform(0.01, 0.1, n), random.uniform(5e4, 6e4, n)
    return pl.DataFrame({"mark_price": price, "forward": forward, "strike": forward,
        "tenor": random.uniform(0.1, 0.5, n)}).with_columns(
        option_type=pl.lit("call", dtype=pl.Enum(["call", "put"])),
        instrument_type=pl.lit("reversed", dtype=pl.Enum(["reversed", "linear"])))
def status(key):
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(key)) / 1024
with_implied_vol(frame(1000), price="mark_price")
quotes = frame(10_000_000).rechunk()
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
solved = with_implied_vol(quotes, price="mark_price")
size = quotes.estimated_size("mb")
print(size, solved.estimated_size("mb") - size, status("VmHWM") - before)
"""


def main() -> None:
    """Print the tables."""
    peers = "import polars, numba"
    ours = f"{peers}, quant.implied_vol, quant.black76"
    calls = [
        ("first implied_vol", FIRST_CALL.format(
            module="implied_vol", function="implied_vol", first="x * 0.1", last="x")),
        ("first price_and_greeks", FIRST_CALL.format(
            module="black76", function="price_and_greeks", first="x", last="x")),
    ]  # fmt: skip
    rows = [
        ("import polars, numba", _least(IMPORT.format(peers))),
        ("import polars, numba and quant", _least(IMPORT.format(ours))),
        *((name, _least(code)) for name, code in calls),
    ]
    show(
        "Starting, compiled code in the cache",
        ("what", "ms"),
        [(name, f"{s * 1e3:.0f}") for name, s in rows],
    )
    given, added, peak = (float(x) for x in _run(MEMORY).split())
    show(
        "Memory of with_implied_vol, 10M rows [MB]",
        ("input", "output", "peak above the input", "peak of input and output"),
        [
            (
                f"{given:.0f}",
                f"{added:.0f}",
                f"{peak:.0f}",
                f"{(given + peak) / (given + added):.2f}",
            )
        ],
    )


def _least(code: str) -> float:
    _run(code)  # fills the cache
    return min(float(_run(code)) for _ in range(RUNS))


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    main()
