"""Windows that are fetched side by side: the first error ends them, and is raised as itself."""

import asyncio
from pathlib import Path

import pytest

from etl.backfill.window import fetch_all, first_of
from lake.errors import DiskFullError


def windows_of_a_full_disk():
    raise DiskFullError(Path("lake"))
    yield


def test_an_error_of_one_window_is_raised_as_itself_and_not_in_a_group():
    with pytest.raises(DiskFullError):
        asyncio.run(fetch_all(None, None, windows_of_a_full_disk()))


def test_the_first_error_is_found_however_deep_it_lies():
    error = DiskFullError(Path("lake"))
    group = ExceptionGroup("", [ExceptionGroup("", [error, ValueError()])])

    assert first_of(group) is error
