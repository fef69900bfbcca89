"""The client of a store: its keys, and how long a request may take and is tried."""

import os
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from obstore.store import S3Store

from lake.errors import RefusedByStoreError

if TYPE_CHECKING:
    from lake.store.objects import ObjectStore

CONNECT_SECONDS = 5
RETRY_SECONDS = 25
BACKOFF: Any = {
    "init_backoff": timedelta(seconds=0.25),
    "max_backoff": timedelta(seconds=5),
    "base": 3,
}
KEYS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
}
"""What of the environment keys come from; a machine of Amazon's may have them by its role."""


@lru_cache(maxsize=32)
def client_of(store: "ObjectStore", pid: int, seconds: float, retries: int) -> S3Store:
    """Return what a process asks a store by; it does not survive a fork."""
    del pid
    if store.endpoint is not None and not KEYS & os.environ.keys():
        raise RefusedByStoreError(store.url, "NoCredentials")  # no machine of Amazon's has a role
    config: dict[str, Any] = {}
    if store.endpoint is not None:
        config["endpoint"] = store.endpoint
    if store.region is not None:
        config["region"] = store.region
    return S3Store(
        store.bucket,
        prefix=store.prefix or None,
        client_options={
            "allow_http": (store.endpoint or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=min(CONNECT_SECONDS, seconds)),
            "timeout": timedelta(seconds=seconds),
        },
        retry_config={
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=max(RETRY_SECONDS, seconds)),
            "backoff": BACKOFF,
        },
        **config,
    )
