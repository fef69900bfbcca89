"""Chains of options at an instant, as summaries and tickers tell them: folded day by day."""

from etl.dataset import Snapshot
from etl.instruments.names import settlement_of
from etl.snapshots.fold import rebuild, segments, staged
from validators.schemas.option_tickers import OptionTickers

OPTION_TICKERS = Snapshot(
    name="option_tickers",
    aliases=("tickers",),
    model=OptionTickers,
    staged=staged,
    rebuild=rebuild,
    segments=segments,
    maker="snapshot options",
    period="day",
    subject_part=settlement_of,
)
