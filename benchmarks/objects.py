"""A lake in a bucket: which client reads and publishes best, and what a question costs.

The store is the tests' own on loopback, so that times are of clients and not of a network; requests
and bytes are counted on a wire to it, and hold for any store.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import cast

import duckdb
import obstore
import pyarrow.fs
from fsspec import AbstractFileSystem
from fsspec.implementations.arrow import ArrowFSWrapper
from obstore.fsspec import FsspecStore
from obstore.store import S3Store

from benchmarks.machine import best, show
from lake.partition import Partition
from lake.paths import Lake
from lake.read import footer
from lake.store.filesystem import LakeFiles
from lake.store.objects import ObjectStore
from lake.store.place import ObjectPlace, place_of
from lake.views import engine, open_views, select
from lake.write import publish_table
from tests.lake.store.test_reading import DAY, START, candles
from tests.objects.server import KEYS, REGION, serving
from tests.objects.wire import Wire, wired
from validators.contract import layout_of
from validators.schemas.candles import PerpetualsOhlcv

LAYOUTS = {
    "131,072 rows": {},
    "16,384 rows": {"row_group": 16_384},
    "five days": layout_of(PerpetualsOhlcv),
}
QUESTIONS = {
    "a day: times, closes": f"SELECT timestamp, close FROM {{}} WHERE {DAY}",
    "a day: all columns": f"SELECT * FROM {{}} WHERE {DAY}",
    "the year: average close": "SELECT avg(close) FROM {}",
}
DATA = b"x" * 20_000
PUTS, RANGES, RANGE_BYTES, THREADS = 100, 64, 100_000, 16
Task = Callable[[], object]


def main() -> None:
    """Print the tables."""
    os.environ.update(KEYS)
    with serving() as server, wired(server.port) as wire:
        bucket = server.bucket()
        year = candles(START, 365 * 1_440)
        for number, layout in enumerate(LAYOUTS.values()):
            publish_table(year, _place(server.s3, bucket, number), **layout)
        addresses = (server.s3, wire.address)
        _show_costs("publish an object of 20,000 bytes", PUTTING, addresses, bucket, wire, PUTS)
        _show_costs("read 100,000 bytes, 16 at once", RANGING, addresses, bucket, wire, RANGES)
        _show_costs("DuckDB: a day, all columns", ASKING, addresses, bucket, wire, 1)
        _show_questions(_lake(wire.address, bucket), wire)


def _lake(address: str, bucket: str) -> Lake:
    return Lake(place_of(f"s3://{bucket}/lake", endpoint=address, region=REGION))


def _place(address: str, bucket: str, number: int = len(LAYOUTS) - 1) -> ObjectPlace:
    partition = Partition(f"layout_{number}", "BTC-PERPETUAL", "2023")
    return cast("ObjectPlace", _lake(address, bucket).clean(partition))


def _key(bucket: str) -> str:
    return f"{bucket}/lake/{_place('', bucket).key}"


def _arrow(address: str) -> pyarrow.fs.S3FileSystem:
    keys = {"access_key": KEYS["AWS_ACCESS_KEY_ID"], "secret_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    return pyarrow.fs.S3FileSystem(endpoint_override=address, region=REGION, **keys)


def _obstore(address: str, bucket: str) -> S3Store:
    options = {"allow_http": True}
    return S3Store(bucket, endpoint=address, region=REGION, client_options=options)


def _ours(address: str, bucket: str) -> ObjectStore:
    return _place(address, bucket).store


def _put_by_arrow(address: str, bucket: str) -> Task:
    system, number = _arrow(address), count()

    def put() -> None:
        with system.open_output_stream(f"{bucket}/arrow/{next(number)}") as file:
            file.write(DATA)

    return partial(_times, put, PUTS)


def _put_by_obstore(address: str, bucket: str) -> Task:
    client, number = _obstore(address, bucket), count()
    return partial(_times, lambda: obstore.put(client, f"obstore/{next(number)}", DATA), PUTS)


def _put_by_lake(address: str, bucket: str) -> Task:
    store, number = _ours(address, bucket), count()
    return partial(_times, lambda: store.put(f"ours/{next(number) % PUTS}", DATA), PUTS)


def _times(task: Task, times: int) -> None:
    for _ in range(times):
        task()


def _range_by_arrow(address: str, bucket: str) -> Task:
    file = _arrow(address).open_input_file(_key(bucket))
    return partial(_side_by_side, lambda start: file.read_at(RANGE_BYTES, start))


def _range_by_obstore(address: str, bucket: str) -> Task:
    client, key = _obstore(address, bucket), _key(bucket).partition("/")[2]
    return partial(
        _side_by_side,
        lambda start: bytes(obstore.get_range(client, key, start=start, length=RANGE_BYTES)),
    )


def _range_by_lake(address: str, bucket: str) -> Task:
    place = _place(address, bucket)
    found = place.store.head(place.key)
    return partial(
        _side_by_side,
        lambda start: place.store.get_range(place.key, start, start + RANGE_BYTES, tag=found.etag),
    )


def _side_by_side(ask: Callable[[int], object]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(ask, range(0, RANGES * RANGE_BYTES, RANGE_BYTES)))


def _asked(system: AbstractFileSystem, path: str) -> Task:
    """Return the question of a day to a connection of its own, as a command asks it."""

    def ask() -> None:
        connection = engine()
        connection.register_filesystem(system)
        sql = QUESTIONS["a day: all columns"].format(f"read_parquet('{path}')")
        connection.sql(sql).pl()

    return ask


def _ask_by_arrow(address: str, bucket: str) -> Task:
    return _asked(ArrowFSWrapper(_arrow(address)), f"s3://{_key(bucket)}")


def _ask_by_obstore(address: str, bucket: str) -> Task:
    options = {"allow_http": True}
    system = FsspecStore("s3", endpoint=address, region=REGION, client_options=options)
    return _asked(system, f"s3://{_key(bucket)}")


def _ask_by_lake(address: str, bucket: str) -> Task:
    place = _place(address, bucket)
    return _asked(LakeFiles(place.store), f"lake://{place.key}")


PUTTING = {
    "pyarrow.fs, which knows no conditions": _put_by_arrow,
    "obstore, no condition": _put_by_obstore,
    "the lake: obstore, new or as it was seen": _put_by_lake,
}
RANGING = {
    "pyarrow.fs": _range_by_arrow,
    "obstore": _range_by_obstore,
    "the lake: obstore, of the object that was seen": _range_by_lake,
}
ASKING = {
    "pyarrow.fs through fsspec": _ask_by_arrow,
    "obstore.fsspec": _ask_by_obstore,
    "the lake's own file system": _ask_by_lake,
}
Ways = dict[str, Callable[[str, str], Task]]


def _show_costs(
    title: str, ways: Ways, addresses: tuple[str, str], bucket: str, wire: Wire, times: int
) -> None:
    """Print the time of each way to do something, and what it sends the second time."""
    body = []
    for name, way in ways.items():
        seconds = best(way(addresses[0], bucket), 5)
        task = way(addresses[1], bucket)
        task()
        wire.requests.clear()
        task()
        kilobytes = (wire.sent + wire.received) / times / 1e3
        told = (f"{seconds / times * 1e3:.2f}", f"{len(wire.requests) / times:.2f}")
        body.append((name, *told, f"{kilobytes:,.1f}"))
    show(title, ("by", "ms", "requests", "kB"), body)


def _show_questions(lake: Lake, wire: Wire) -> None:
    """Print what questions cost, of views that were opened before and of a command's own."""
    body = []
    wire.requests.clear()
    connection = open_views(lake)
    opened = wire.counted()
    for number, layout in enumerate(LAYOUTS):
        (place,) = lake.files(f"layout_{number}")
        size, ends = place.stat().st_size, footer(place).serialized_size / place.stat().st_size
        for question, sql in QUESTIONS.items():
            ask = partial(_ask, connection, sql.format(f"layout_{number}"))
            ask()
            wire.requests.clear()
            ask()
            requests, share = len(wire.requests), wire.received / size
            told = (str(requests), f"{share:.2%}", f"{share + ends:.2%}")
            body.append((layout, f"{size:,}", question, *told, f"{best(ask, 5) * 1e3:.0f}"))
    head = ("row groups", "bytes", "question", "requests", "of the file", "with its footer", "ms")
    show("questions to a year of minutes, each in three layouts", head, body)
    wire.requests.clear()
    open_views(lake).close()
    told = [(str(dict(opened)), str(dict(wire.counted())))]
    show(f"open the views of {len(LAYOUTS)} files", ("first", "again"), told)


def _ask(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    select(connection, sql).pl()


if __name__ == "__main__":
    main()
