"""Run the steps in order: plan, fetch, stage, fold, publish. The only module that knows the order."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx

from etl import plan
from etl.config import Settings
from etl.datasets import Dataset
from etl.deribit import DeribitClient, Request, Retry
from etl.errors import DeribitError, EtlError, UnavailableError, UsageError
from etl.fold import Folded, Terms, fold, publish, raw_folder
from etl.instruments import Instrument, Universe, fetch_universe
from etl.rate_limit import CreditBucket, shared_bucket_path
from lake import raw
from lake.ledger import Record, Span, read_record, write_record
from lake.lock import locked
from lake.paths import Lake, Partition, open_lake
from lake.write import remove_leftovers
from validators.outages import load_outages

logger = logging.getLogger(__name__)

TURNS = 6  # rounds of asking, folding and asking again for holes in one run
FOLDED_AHEAD = 3  # partitions fetched at the same time
BYTES_PER_ROW = 32  # raw and clean together, measured: 13.7 + 15.0, and a margin
EXCHANGE_REFILL = 0.98  # of the documented rate: a clock may run fast
EXCHANGE_CAPACITY = 0.90  # of the documented bucket: requests may arrive bunched
"""The headroom is in the bucket more than in the rate: see docs/decisions.md."""
