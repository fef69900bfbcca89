"""What a million rows' contract costs, beside the same rules as bare expressions, on one core."""

import polars as pl

from benchmarks.history import TABLE, full_lake
from benchmarks.machine import best, pin_to_one_core, show
from lake.paths import Lake
from lake.read import scan
from validators import contract
from validators.resolutions import is_on_grid
from validators.schemas.candles import candles_model

ROWS = 1_000_000
PRICES = ("open", "high", "low", "close")


def main() -> None:
    """Print the table of times."""
    frame = scan(Lake(full_lake().root), TABLE).head(ROWS).collect()
    pin_to_one_core()
    model = candles_model("1")
    bad = frame.with_columns(
        high=pl.when(pl.int_range(pl.len()) % 1000 == 0).then(0.0).otherwise("high")
    )
    times = {
        "split, every row good": best(lambda: contract.split(frame, model), 5),
        "split, one row in 1,000 bad": best(lambda: contract.split(bad, model), 5),
        "check (order and key too)": best(lambda: contract.check(frame, model), 5),
        "the rules as bare polars": best(lambda: frame.select(rules()), 5),
    }
    reference = times["the rules as bare polars"]
    show(
        f"contract of {ROWS:,} candles, one core",
        ("task", "ms", "of bare polars"),
        [(task, f"{s * 1e3:.1f}", f"{s / reference:.1f}") for task, s in times.items()],
    )


def rules() -> pl.Expr:
    """Return whether every row keeps the rules of a candle."""
    low, high = pl.col("low"), pl.col("high")
    return pl.all_horizontal(
        pl.all_horizontal(pl.col(*PRICES, "volume", "cost").is_finite()),
        pl.all_horizontal(pl.col(*PRICES) > 0),
        pl.all_horizontal(pl.col("volume", "cost") >= 0),
        low <= pl.min_horizontal("open", "close"),
        high >= pl.max_horizontal("open", "close"),
        is_on_grid("1"),
    ).all()


if __name__ == "__main__":
    main()
