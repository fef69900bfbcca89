"""How fast raw bytes become validated, published Parquet, on one core, beside the floors."""

import tempfile
from pathlib import Path

import orjson

from benchmarks.history import INSTRUMENT, TABLE, full_lake
from benchmarks.machine import best, pin_to_one_core, show
from etl.backfill.replay import Rebuilt, replay
from etl.backfill.run import rules_of
from etl.catalog import find_fetched
from etl.config import Settings
from etl.instruments.lists import staged_listing
from lake import raw
from lake.paths import Lake
from lake.read import read_table
from lake.write import publish_table

DATASET = find_fetched(TABLE)


def main() -> None:
    """Print the table of times and the table of sizes."""
    settings = full_lake()
    pin_to_one_core()
    rows = sum(record.rows for _, record in _replay(settings))
    floors = floors_of(Lake(settings.root))
    steps = ("read raw alone", "parse alone", "write Parquet alone")
    floor = sum(floors[step] for step in steps)
    floors["those three, one after the other"] = floor
    floors["read clean Parquet alone"] = floors.pop("read clean Parquet alone")
    floors["replay"] = best(lambda: _replay(settings), 3)
    show(
        f"raw bytes to validated, published Parquet: {rows:,} candles of {INSTRUMENT}, one core",
        ("step", "s", "candles/s", "of the floor"),
        [(step, f"{s:.2f}", f"{rows / s:,.0f}", f"{s / floor:.2f}") for step, s in floors.items()],
    )
    show_sizes(settings, rows)


def _replay(settings: Settings) -> list[Rebuilt]:
    return list(replay(Lake(settings.root), [DATASET], rules_of(settings), count=1))


def floors_of(lake: Lake) -> dict[str, float]:
    """Return the time of each step alone over all years, the better of two runs each [s]."""
    times: dict[str, float] = {}
    for partition in DATASET.staged(lake, staged_listing(lake)):
        folder = DATASET.raw_folder(lake, partition)
        bodies = [body for _, body in raw.bodies(folder)]
        clean = lake.clean(partition)
        table = read_table(clean)
        with tempfile.TemporaryDirectory(dir=lake.root) as scratch:
            path = Path(scratch, "year.parquet")
            tasks = {
                "read raw alone": lambda folder=folder: list(raw.bodies(folder)),
                "parse alone": lambda bodies=bodies: [DATASET.decode(body) for body in bodies],
                "orjson.loads alone": lambda bodies=bodies: [orjson.loads(body) for body in bodies],
                "write Parquet alone": lambda t=table, path=path: publish_table(t, path),
                "read clean Parquet alone": lambda clean=clean: read_table(clean),
            }
            for step, task in tasks.items():
                times[step] = times.get(step, 0.0) + best(task, 2)
    return times


def show_sizes(settings: Settings, rows: int) -> None:
    """Print bytes on disk per candle."""
    raw_files = list(Lake(settings.root).raw("get_tradingview_chart_data").glob("**/*.parquet"))
    clean_files = Lake(settings.root).files(TABLE)
    show(
        "on disk",
        ("part", "files", "MB", "bytes a candle"),
        [
            (part, str(len(files)), f"{size / 1e6:.1f}", f"{size / rows:.1f}")
            for part, files in (("raw", raw_files), ("clean", clean_files))
            if (size := sum(path.stat().st_size for path in files))
        ],
    )


if __name__ == "__main__":
    main()
