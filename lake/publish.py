"""Publish a partition: rows, then those set aside, then the line that vouches for both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lake.ledger import Record, read_record, write_record
from lake.partition import Partition
from lake.paths import Lake
from lake.store.files import remove
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
    if record.rows and not (is_same and rows.is_file()):
        publish_table(content.rows, rows, **content.layout)
    elif not record.rows:
        remove(rows)
    if content.rejected.num_rows:
        publish_table(content.rejected, quarantine)
    else:
        remove(quarantine)
    if before != record:
        write_record(lake, partition, record)


def withdraw(lake: Lake, partition: Partition) -> None:
    """Remove what is published of a partition, and its line; call it under its lock."""
    remove(lake.ledger(partition))
    for top in ("clean", "derived"):
        remove(lake.published(top, partition))
    remove(lake.quarantine(partition))


def tidy(lake: Lake, partition: Partition) -> None:
    """Remove the temporary files a killed process left of a partition; call it under its lock."""
    for path in (
        lake.clean(partition),
        lake.derived(partition),
        lake.quarantine(partition),
        lake.ledger(partition),
    ):
        remove_leftovers(path)
