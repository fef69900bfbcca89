"""Publish a partition: rows, then those set aside, then the line that vouches for both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lake.ledger import Record, read_record, write_record
from lake.partition import Partition
from lake.paths import Lake
from lake.write import publish_table, remove_leftovers


@dataclass(frozen=True, slots=True)
class Content:
    """What a partition amounts to, however it was made, and what the user should know of it."""

    record: Record
    rows: pa.Table
    rejected: pa.Table
    notes: tuple[str, ...] = ()
    layout: Mapping[str, Any] = field(default_factory=dict)


def publish(lake: Lake, partition: Partition, content: Content, *, anew: bool = False) -> None:
    """Publish a partition; call it under its lock.

    A file whose content stays the same is not touched, unless it is to be written `anew`.
    """
    before = read_record(lake, partition) if not anew else None
    record = content.record
    rows, quarantine = lake.published(record.top, partition), lake.quarantine(partition)
    is_same = before is not None and before.checksum == record.checksum
    if record.rows and not (is_same and rows.exists()):
        publish_table(content.rows, rows, **content.layout)
    elif not record.rows:
        rows.unlink(missing_ok=True)
    if content.rejected.num_rows:
        publish_table(content.rejected, quarantine)
    else:
        quarantine.unlink(missing_ok=True)
    if before != record:
        write_record(lake, partition, record)


def withdraw(lake: Lake, partition: Partition) -> None:
    """Remove what is published of a partition, and its line; call it under its lock."""
    lake.ledger(partition).unlink(missing_ok=True)
    for top in ("clean", "derived"):
        lake.published(top, partition).unlink(missing_ok=True)
    lake.quarantine(partition).unlink(missing_ok=True)


def tidy(lake: Lake, partition: Partition) -> None:
    """Remove the temporary files a killed process left of a partition; call it under its lock."""
    for path in (
        lake.clean(partition),
        lake.derived(partition),
        lake.quarantine(partition),
        lake.ledger(partition),
    ):
        remove_leftovers(path)
