"""The carry of dated futures at constant maturities, from their basis."""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from etl.compute.futures_basis import NAME as BASIS
from etl.dataset import Computed, Held, Made, Read, Task
from etl.instruments.record import Listing
from lake.partition import Partition
from quant.basis import constant_maturity
from validators.schemas.futures_curve import FuturesCurve

NAME = "futures_curve"
COLUMNS = ("timestamp", "instrument", "days_to_expiry", "carry", "status")


def tasks(held: Held, listing: Listing, options: Mapping[str, float]) -> Iterator[Task]:
    """Yield a month for every month of basis."""
    del listing, options
    for one in sorted(held):
        if one.dataset == BASIS and held[one].checksum is not None:
            year = f"{one.part} {one.period[:4]}"
            yield Task(Partition(NAME, one.part, one.period), (one,), group=year)


def step(read: Read, held: Held, todo: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
    """Yield the curve of each month."""
    del held
    for task in todo:
        curve = constant_maturity(pl.DataFrame(read(task.inputs[0], COLUMNS)))
        underlying = pl.lit(task.partition.part).alias("underlying")
        yield task, Made(curve.select("timestamp", underlying, pl.exclude("timestamp")))


FUTURES_CURVE = Computed(
    name=NAME,
    aliases=("curve",),
    model=FuturesCurve,
    inputs=(BASIS,),
    version=1,
    tasks=tasks,
    step=step,
    period="month",
    follows=True,
)
