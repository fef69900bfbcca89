"""Every instrument ever listed, as it was: folded from the lists, living and expired."""

from etl.dataset import Snapshot
from etl.instruments.table import rebuild, staged
from validators.schemas.instruments import Instruments

INSTRUMENTS = Snapshot(
    name="instruments",
    aliases=("universe",),
    model=Instruments,
    staged=staged,
    rebuild=rebuild,
    maker="instruments refresh",
)
