"""Minutes of the indices, as their prices came over sockets: folded month by month."""

from etl.dataset import Snapshot
from etl.snapshots.index_minutes import DATASET, rebuild, segments, staged
from validators.schemas.index_minutes import IndexMinutes

INDEX_MINUTES = Snapshot(
    name=DATASET,
    model=IndexMinutes,
    staged=staged,
    rebuild=rebuild,
    segments=segments,
    maker="collect",
    period="month",
)
