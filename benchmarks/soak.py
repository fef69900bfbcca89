"""A collector through a day of trouble, in accelerated time: what it has is the market's own.

Cuts every ten minutes, two breaks of the exchange, silence, twenty kills. ``--speed 60`` takes 25
minutes and a core and a half.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.soak import LIMITS_S, Plan, soak


def main() -> None:
    """Run it, print what came of it, and end with 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), Plan(speed=told.speed, seed=told.seed))
    print(f"exit code {found.exit_code}, verdict {found.verdict}, killed {len(found.kills)} times")
    print(f"{found.candles:,} candles and {found.trades:,} trades are the market's own")
    print(f"sockets: {found.stats['socket']}")
    long_ = Counter(one.kind for one in found.silences)
    limits = ", ".join(f"{kind} {limit:.0f} s" for kind, limit in LIMITS_S.items())
    print(f"sources silent for longer than their limit ({limits}): {dict(long_)}")
    for alarm in found.rung:
        print(f"rang {alarm.end_s - alarm.start_s:.0f} s: {alarm.name}: {alarm.text}")
    for fault in found.faults:
        print(f"WRONG: {fault}")
    is_right = found.exit_code == 0 and found.verdict == "COMPLETE" and not found.faults
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
