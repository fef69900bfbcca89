"""A bucket without keys to it."""

import pytest

from lake.errors import RefusedByStoreError
from lake.store.client import KEYS


def test_without_keys_a_store_of_ones_own_is_not_asked(lake_at, monkeypatch):
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(RefusedByStoreError, match="expected a valid AWS_ACCESS_KEY_ID"):
        lake_at().is_dir()
