"""DuckDB: when BTC is traded, by hour and day of the week, in one query.

The file comes from ``deribit-lake sql --file lake.duckdb``; it is small, for it holds views alone.

    python volume_by_hour.py lake.duckdb volume_by_hour.png
"""

import sys

import duckdb
import numpy as np
from matplotlib import pyplot as plt

LAKE, PICTURE = sys.argv[1:3]

# Read-only: so that many can have it open, and it can be written anew meanwhile.
with duckdb.connect(LAKE, read_only=True) as connection:
    connection.execute("SET TimeZone = 'UTC'")  # a file cannot say so for itself
    hours = connection.execute("""
        SELECT isodow(timestamp) - 1 AS day, hour(timestamp) AS hour, avg(cost) / 1e6 AS millions
        FROM perpetuals_1h
        WHERE instrument = 'BTC-PERPETUAL' AND minutes = 60
        GROUP BY ALL
        ORDER BY ALL
    """).fetchnumpy()

volume = np.full((7, 24), np.nan)
volume[hours["day"].astype(int), hours["hour"].astype(int)] = hours["millions"]

figure, axes = plt.subplots(figsize=(9, 3.5), layout="constrained")
shown = axes.imshow(volume, aspect="auto", cmap="YlOrRd")
axes.set(title="BTC-PERPETUAL: turnover of an hour", xlabel="hour, UTC", xticks=range(0, 24, 2))
axes.set_yticks(range(7), ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))
figure.colorbar(shown, label="million USD")
figure.savefig(PICTURE, dpi=110)

day, hour = np.unravel_index(np.nanargmax(volume), volume.shape)
print(f"most in hour {hour} of day {day + 1}: {np.nanmax(volume):.1f} million USD")
