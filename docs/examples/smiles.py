"""polars: the last volatility surface, smile by smile, with the trades it was drawn through.

Usage: python smiles.py data smiles.png
"""

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib import pyplot as plt

LAKE, PICTURE = Path(sys.argv[1]), Path(sys.argv[2])

slices = pl.scan_parquet(LAKE / "derived/vol_slices/BTC/*.parquet").filter(
    pl.col("source") == "trades", pl.col("underlying") == "BTC", pl.col("status") == "ok"
)
last = slices.filter(pl.col("timestamp") == pl.col("timestamp").max()).collect().sort("expiry")
at = last["timestamp"][0]

# The surface of an hour is made of the trades of the hour before it.
trades = (
    pl.scan_parquet(LAKE / "derived/option_iv/BTC/*.parquet")
    .filter(pl.col("timestamp").is_between(at - timedelta(hours=1), at, closed="left"))
    .filter(pl.col("status") == "ok", ~pl.col("is_block"), ~pl.col("is_combo"))
    .with_columns(strike=pl.col("instrument").str.split("-").list.get(2).cast(pl.Float64))
    .select("iv", k=(pl.col("strike") / pl.col("forward")).log())
    .collect()
)

figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
colours = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(last)))
for row, colour in zip(last.iter_rows(named=True), colours, strict=True):
    theta, rho, phi = row["theta"], row["rho"], row["psi"] / row["theta"]
    k = np.linspace(-3, 2, 101) * np.sqrt(theta)  # log-moneyness, ln(strike/forward)
    w = theta / 2 * (1 + rho * phi * k + np.sqrt((phi * k + rho) ** 2 + 1 - rho**2))
    axes.plot(k, 100 * np.sqrt(w / row["tenor"]), color=colour, label=f"{row['expiry']:%d %b %y}")
axes.plot(trades["k"], 100 * trades["iv"], ".", color="#f7931a", label="trades")
axes.set(
    title=f"BTC, {at:%d %B %Y %H:%M} UTC", xlabel="ln(strike / forward)", ylabel="volatility, %"
)
axes.legend(ncols=2, fontsize=8)
figure.savefig(PICTURE, dpi=110)

first = 100 * last["atm_iv"][0]
print(f"{len(last)} smiles, {len(trades)} trades, {first:.1f} % at the money of the first")
