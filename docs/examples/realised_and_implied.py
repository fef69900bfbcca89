"""polars: how much BTC moved, beside what options said it would (DVOL).

Usage: python realised_and_implied.py data realised_and_implied.png
"""

import sys
from pathlib import Path

import polars as pl
from matplotlib import pyplot as plt

LAKE, PICTURE = Path(sys.argv[1]), Path(sys.argv[2])
DAYS = 7  # of the window volatility is realised in

# Nothing is read before `collect`, and then only these columns of these files.
minutes = pl.scan_parquet(LAKE / "clean/perpetuals_ohlcv/BTC-PERPETUAL/*.parquet")
index = pl.scan_parquet(LAKE / "clean/volatility_index/btc_usd/*.parquet")

# Five-minute returns: one-minute ones count the bounce between bid and ask as volatility.
# Minutes without a trade are there, with the last price (volume 0): every step is five minutes.
step = pl.col("close").log().diff()
realised = (
    minutes.group_by_dynamic("timestamp", every="5m")
    .agg(pl.col("close").last())
    .with_columns(variance=step**2)
    .group_by_dynamic("timestamp", every="1h")
    .agg(pl.col("variance").sum())
    .with_columns(
        realised=(pl.col("variance").rolling_mean(24 * DAYS, min_samples=24) * 24 * 365).sqrt()
    )
    .select(pl.col("timestamp") + pl.duration(hours=1), "realised")  # known when the hour is over
)
implied = index.select("timestamp", implied="close")
both = realised.join(implied, on="timestamp").drop_nulls().sort("timestamp").collect()

figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
axes.plot(both["timestamp"], 100 * both["implied"], color="#1e3a8a", label="implied: DVOL")
axes.plot(
    both["timestamp"], 100 * both["realised"], color="#f7931a", label=f"realised, {DAYS} days"
)
axes.set(title="BTC: volatility realised and implied", ylabel="% a year", ylim=(0, None))
axes.legend()
figure.autofmt_xdate()
figure.savefig(PICTURE, dpi=110)

premium = 100 * (both["implied"] - both["realised"]).mean()
print(f"{len(both)} hours, implied over realised {premium:.1f} points on average")
