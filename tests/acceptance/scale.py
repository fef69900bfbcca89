"""How much of Deribit's history a run of the smoke tests takes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Spans are half-open, days in UTC.

    Attributes
    ----------
    btc, eth
        Candles of the perpetuals.
    futures
        Candles of dated futures, and what their basis is held against: days of the perpetuals',
        so that these have no hole.
    options
        Trades of options, of which volatilities, surfaces and Greeks are made.
    listed
        No option that expired before is listed.
    activity
        How often options trade, against the simulator's own measure.
    ticker_days, tickers
        Days whose chain is asked for with Greeks, and options of each.
    """

    name: str
    btc: tuple[str, str]
    eth: tuple[str, str]
    futures: tuple[str, str]
    options: tuple[str, str]
    listed: str
    activity: float
    ticker_days: int
    tickers: int


SCALES = {
    one.name: one
    for one in (
        Scale(
            name="full",  # the backlog's own spans of T-006 and T-007
            btc=("2016-12-01", "2025-10-18"),
            eth=("2017-01-01", "2025-10-18"),
            futures=("2024-09-20", "2025-01-05"),
            options=("2025-09-27", "2025-10-11"),
            listed="2025-09-25",
            activity=0.1,
            ticker_days=30,
            tickers=40,
        ),
        Scale(
            name="small",
            btc=("2025-09-20", "2025-10-18"),
            eth=("2025-09-20", "2025-10-18"),
            futures=("2025-09-25", "2025-10-05"),
            options=("2025-10-15", "2025-10-17"),
            listed="2025-10-14",
            activity=0.05,
            ticker_days=3,
            tickers=40,
        ),
    )
}
