"""Scan Parquet with polars wherever it lies."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from lake.store import refusals
from lake.store.client import RETRY_SECONDS
from lake.store.objects import REGION, RETRIES, ObjectStore
from lake.store.place import ObjectPlace, Place


def scan_parquet(places: Sequence[Place]) -> pl.LazyFrame:
    """Return the rows of Parquet files of one schema, lazily; a name is a name, and no pattern.

    What a store refuses is an error of the lake, wherever the rows are asked for.

    Raises
    ------
    LakeError
        If the store fails when it is asked for their columns.
    """
    here = [place for place in places if isinstance(place, Path)]
    if len(here) == len(places):
        return pl.scan_parquet(here, glob=False, hive_partitioning=False)
    there = [place for place in places if isinstance(place, ObjectPlace)]
    store, frame = there[0].store, _scan(there)
    with _said_by(store):  # now: what a schema asked for later raises, polars wraps
        schema = frame.collect_schema()
    return register_io_source(_source(store, frame), schema=schema)


def _scan(places: Sequence[ObjectPlace]) -> pl.LazyFrame:
    """Return what polars reads by its own client, which is the one obstore is, and keeps as it."""
    return pl.scan_parquet(
        [str(place) for place in places],
        glob=False,
        hive_partitioning=False,
        storage_options=_options(places[0].store),
        credential_provider=None,  # none of polars' own: the environment's or the machine's role
    )


Source = Callable[
    [list[str] | None, pl.Expr | None, int | None, int | None], Iterator[pl.DataFrame]
]


def _source(store: ObjectStore, frame: pl.LazyFrame) -> Source:
    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        chosen = frame if predicate is None else frame.filter(predicate)
        chosen = chosen if columns is None else chosen.select(columns)
        chosen = chosen if rows is None else chosen.head(rows)
        with _said_by(store):
            yield from chosen.collect_batches(chunk_size=size)

    return read


@contextmanager
def _said_by(store: ObjectStore) -> Iterator[None]:
    """Turn what the store refused polars into an error of the lake."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        if (told := refusals.of_polars(store.url, error)) is not None:
            raise told from None
        raise


def _options(store: ObjectStore) -> dict[str, Any]:
    """Return how polars finds a store; the keys it takes from the environment."""
    options: dict[str, Any] = {
        "aws_region": store.region or REGION,
        "max_retries": RETRIES,
        "retry_timeout_ms": RETRY_SECONDS * 1_000,
    }
    if store.endpoint is not None:
        options["aws_endpoint_url"] = store.endpoint
        options["aws_allow_http"] = str(store.endpoint.startswith("http://")).lower()
    return options
