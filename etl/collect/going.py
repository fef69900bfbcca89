"""Work that may fail while everything else goes on."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import polars as pl

from etl.errors import EtlError
from lake.errors import DiskFullError, LakeError

logger = logging.getLogger(__name__)


async def kept_going(words: str, work: Callable[[], Awaitable[Any]]) -> Any:
    """Return what some work comes to; None where it fails, unless the disk is full."""
    try:
        return await work()
    except DiskFullError:
        raise
    except (EtlError, LakeError, pl.exceptions.PolarsError) as error:
        logger.warning("%s: %s", words, " ".join(str(error).split()))
        return None
