"""What a message, a trade, a surface and a row looked into take, from which docs/scale.md is made.

Everything is timed on the processor's clock, so that other work on the machine adds little. With
``--keep`` the figures are written to `benchmarks/sizing.json`; `benchmarks.sizing_check` then holds
the model against a larger lake, and ``just docs`` writes the page.
"""

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.machine import show
from benchmarks.sizing_page import MEASURED
from benchmarks.sizing_queries import linked, opening, queries
from benchmarks.sizing_recorded import compared
from benchmarks.sizing_steps import computed, fetched, of_tickers, tickers


def main() -> None:
    """Measure, print, and keep what was found where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="write the figures")
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory(prefix="deribit-lake-bench-") as name:
        found = measured(Path(name))
    units = found["units"]
    show(
        "What one of everything takes",
        ("made", "of each of", "bytes", "us of a core"),
        [(f"{one['layer']} {one['dataset']}", one["of"], f"{one['bytes']:,.1f}",
          f"{one['core_us']:,.2f}") for one in units],
    )  # fmt: skip
    show(
        "Questions to tickers",
        ("question", "looks into", "ns of a core a row", "bytes read a row"),
        [(one["name"], one["scope"], f"{one['core_us'] * 1e3:,.1f}", f"{one['bytes']:.1f}")
         for one in found["queries"]],
    )  # fmt: skip
    if keep:
        check = json.loads(MEASURED.read_text(encoding="utf-8"))["check"]
        told = found | {"check": check}
        MEASURED.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def measured(folder: Path) -> dict[str, Any]:
    """Return all figures, as they are kept."""
    lake, took, raw = tickers(folder)
    many = linked(lake, folder)
    asked, (open_us, footer) = queries(lake, many), opening(many)
    of_trades = computed(folder)  # compiles, too
    units = [*fetched(folder), *of_tickers(lake, folder, took), *of_trades]
    return {
        "units": [asdict(unit) for unit in units],
        "queries": [asdict(query) for query in asked],
        "raw_ticker_bytes": {str(every): each for every, each in raw.items()},
        "message_bytes": took.counts["bytes"] / took.counts["messages"],
        "open_us": open_us,
        "footer_bytes": footer,
        "recorded": list(compared()),
    }


if __name__ == "__main__":
    main()
