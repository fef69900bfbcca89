"""pandas: what a perpetual costs to hold, beside what its dated futures price in.

Funding is paid every hour, the carry of a future is fixed when it is bought; both per year.

    python funding_and_basis.py data funding_and_basis.png
"""

import sys
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

LAKE, PICTURE = Path(sys.argv[1]), Path(sys.argv[2])
HOURS_A_YEAR = 24 * 365

# Every dataset is a folder of plain Parquet: a folder a part, a file a period.
funding = pd.read_parquet(LAKE / "clean/funding_rates/BTC-PERPETUAL")
curve = pd.read_parquet(LAKE / "derived/futures_curve/BTC")

# A row of funding describes the hour that ends at its timestamp, as a fraction of the position.
paid = funding.set_index("timestamp")["interest_1h"] * HOURS_A_YEAR
paid = paid.rolling("3D").mean().dropna()

# A row of the curve is a minute and a maturity; what no two futures stand around is null.
known = curve[curve["status"] == "ok"]
carry = known.pivot_table(index="timestamp", columns="maturity_days", values="carry")
carry = carry.resample("1h").mean()

figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
axes.plot(paid.index, 100 * paid, color="#f7931a", label="funding, mean of three days")
for days, colour in zip(carry.columns, ("#94a3b8", "#2a9d8f", "#1e3a8a"), strict=False):
    axes.plot(carry.index, 100 * carry[days], color=colour, label=f"carry of {days:.0f} days")
axes.axhline(0, color="black", linewidth=0.5)
axes.set(title="BTC: funding and carry", ylabel="% a year")
axes.legend()
figure.autofmt_xdate()
figure.savefig(PICTURE, dpi=110)

month = 100 * carry[30].mean()
print(f"funding {100 * paid.mean():.2f} %, carry of 30 days {month:.2f} % a year")
