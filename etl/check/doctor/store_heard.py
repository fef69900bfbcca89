"""Whether the store of a bucket answers, and what time it has: asked once, for all that need it."""

from email.utils import parsedate_to_datetime
from time import time
from typing import NamedTuple

import httpx

from lake.store.objects import ObjectStore

ANSWERS_S = 4.0
AMAZON = "https://s3.{region}.amazonaws.com"


class StoreHeard(NamedTuple):
    """Where a store is, why it does not answer, and how far our clock is ahead of its [s].

    `error` is empty where it answers, `ahead_s` None where it told no time.
    """

    address: str
    error: str
    ahead_s: float | None


def hear(store: ObjectStore) -> StoreHeard:
    """Return what a store answers to who asks for nothing and shows no keys; it may well refuse."""
    address = store.endpoint or AMAZON.format(region=store.region or "us-east-1")
    try:
        answer = httpx.head(address, timeout=ANSWERS_S)
    except httpx.HTTPError as error:
        why = f"{store.url}: {address} does not answer ({type(error).__name__}: {error})"
        return StoreHeard(address, why, None)
    told = answer.headers.get("date")
    ahead_s = None if told is None else time() - parsedate_to_datetime(told).timestamp()
    return StoreHeard(address, "", ahead_s)
