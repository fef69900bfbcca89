"""The backups of a repository, as people and programs read them."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from etl.backup.repository import Snapshot


def lines(found: Sequence[Snapshot]) -> list[str]:
    """Return a line for each backup."""
    return [_line(one) for one in found]


def records(found: Sequence[Snapshot]) -> list[dict[str, Any]]:
    """Return each backup as plain values; the size is that of the lake [bytes]."""
    return [
        {
            "id": one.id,
            "time": one.time,
            "lake": one.lake,
            "files": one.files,
            "bytes": one.bytes,
            "database": one.has_database,
            "whole": one.is_whole,
        }
        for one in found
    ]


def _line(one: Snapshot) -> str:
    when = one.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    parts = [f"{one.short}  {when}  {one.files:>9,} files {one.bytes / 1e6:>12,.1f} MB"]
    parts += ["database"] if one.has_database else []
    parts += [] if one.is_whole else ["files are missing"]
    parts += ["of the future: a clock was wrong"] if one.is_of_the_future else []
    return "  ".join(parts)
