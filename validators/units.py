"""Units of columns, as `metadata` of a field, and the type of moments.

A unit is a number's [unit] or the clock a moment is told by.
"""

from typing import Annotated

import polars as pl

Moment = Annotated[pl.Datetime, "us", "UTC"]
"""The type of every moment in a dataset."""

UTC = {"unit": "UTC"}
UNIX_MS = {"unit": "ms since 1970"}
DAYS = {"unit": "days"}
YEARS = {"unit": "yr"}

QUOTE = {"unit": "quote currency"}
COIN = {"unit": "base coin"}
USD = {"unit": "USD"}
PREMIUM = {"unit": "price unit of the option"}
CONTRACT = {"unit": "USD or base coin"}

COUNT = {"unit": "count"}
FRACTION = {"unit": "1"}
VOLATILITY = {"unit": "1/sqrt(yr)"}
PER_YEAR = {"unit": "1/yr"}
PER_USD = {"unit": "1/USD"}
