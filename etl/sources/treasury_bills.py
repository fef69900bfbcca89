"""US Treasury yields up to a year, by the calendar day: the Treasury's own, and FRED's copy."""

from etl.dataset import Snapshot
from etl.rates.fold import rebuild, segments
from etl.rates.pages import DATASET, staged
from lake.span import DAY_MS
from validators.schemas.treasury_bills import TreasuryBills

TREASURY_BILLS = Snapshot(
    name=DATASET,
    aliases=("rates", "bills"),
    model=TreasuryBills,
    staged=staged,
    rebuild=rebuild,
    segments=segments,
    maker="backfill rates",
    period="year",
    step_ms=DAY_MS,
)
