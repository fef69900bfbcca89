"""The same flood taken by ccxt.pro and by cryptofeed on one core each, and by ours beside them.

What counts is a message on disk: a journal of ours, lines of theirs, synchronised as often. Ours
and cryptofeed's `raw` keep messages as they came; the others what the library made of them: all of
a ticker (ccxt), its best prices (cryptofeed). On a machine that does other work, too, compare the
messages a second of CPU.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.collect import measured
from benchmarks.flood import flooding
from benchmarks.machine import cores, show

SECONDS = 30.0
START_S = 300.0  # to load a library's list of instruments, and to subscribe
CRYPTOFEED = ("cryptofeed==2.4.1", "uvloop==0.22.1", "websockets==17.4")
WAYS = {
    "ccxt.pro 4.5.90, watch_ticker": ("collect_ccxt", "watch_ticker"),
    "ccxt.pro 4.5.90, watch_tickers": ("collect_ccxt", "watch_tickers"),
    "cryptofeed 2.4.1, raw files": ("collect_cryptofeed", "raw"),
    "cryptofeed 2.4.1, TICKER": ("collect_cryptofeed", "ticker"),
    "cryptofeed 2.4.1, L1_BOOK": ("collect_cryptofeed", "l1_book"),
}
ROOT = Path(__file__).parents[1]
Row = tuple[str, float, float]
"""A way, its messages a second, and those a second of CPU."""


def main() -> None:
    """Print what each brings to disk of a flood, as fast as it reads."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--seconds", type=float, default=SECONDS, help="of each")
    seconds = told.parse_args().seconds
    mine, theirs = cores()
    os.sched_setaffinity(0, {mine})
    with flooding(theirs) as address:
        found = [_ours(address, seconds), *_peers(address, seconds)]
    _, ours, ours_of_cpu = found[0]
    head = ["", "messages/s to disk", "ours is times", "a second of CPU", "ours is times"]
    rows = [
        [
            name,
            f"{rate:,.0f}",
            f"{ours / rate:.1f}",
            f"{of_cpu:,.0f}",
            f"{ours_of_cpu / of_cpu:.1f}",
        ]
        for name, rate, of_cpu in found
    ]
    show("Tickers of the whole chain, as fast as each reads, one core each", head, rows)


def _ours(address: str, seconds: float) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        found = measured(address, Path(folder) / "lake", seconds)
    return "deribit-lake", found.messages / found.seconds, found.messages / found.cpu


def _peers(address: str, seconds: float) -> Iterator[Row]:
    for name, (module, way) in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            words = ["-m", f"benchmarks.{module}", address, folder, str(seconds), way]
            try:
                done = subprocess.run(
                    [*_python(module), *words], cwd=ROOT, check=True, timeout=START_S + seconds,
                    stdout=subprocess.PIPE, text=True,
                )  # fmt: skip
            except (subprocess.SubprocessError, OSError) as error:
                print(f"{name} is left out: {error}")
                continue
        figures = json.loads(done.stdout.splitlines()[-1])
        yield name, figures["messages"] / figures["seconds"], figures["messages"] / figures["cpu"]


def _python(module: str) -> list[str]:
    """Return what runs a module: cryptofeed lives in an environment that uv makes of it."""
    if module != "collect_cryptofeed":
        return [sys.executable]
    packages = [word for package in CRYPTOFEED for word in ("--with", package)]
    return ["uv", "run", "--no-project", "--quiet", "--python", sys.executable, *packages, "python"]


if __name__ == "__main__":
    main()
