"""Hold the numbers of a part's partitions against each other, and ask for what is missing between.

A record says by a digest what it was held against; where that has changed since, it is held again.
"""

from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b

import msgspec
import polars as pl
from msgspec.structs import replace

from etl.dataset import Fetched
from etl.instruments.table import births
from etl.proof.protocol import Terms
from etl.proof.seams import (
    EDGES,
    edges_of,
    holes_before,
    repeat_gap,
    repeats_of,
    seam_gap,
    with_refused,
)
from etl.proof.sequence import SequenceProof
from lake.ledger import Record, records, write_record
from lake.partition import Partition
from lake.paths import Lake
from lake.read import scan_files
from lake.span import union

Held = Sequence[tuple[Partition, Record]]


def is_numbered(dataset: object) -> bool:
    """Whether the rows of a dataset are numbered across its partitions."""
    return isinstance(dataset, Fetched) and isinstance(dataset.proof, SequenceProof)


def held_of(lake: Lake, dataset: str, part: str) -> list[tuple[Partition, Record]]:
    """Return the partitions of a part with their ledger, in order of time."""
    return [(one, record) for one, record in records(lake, dataset) if one.part == part]


def digests(held: Held) -> Iterator[str]:
    """Yield for each partition of a part what it should have been held against, in order."""
    digest = blake2b(digest_size=16)
    for one, record in held:
        said = (one.period, record.checksum, record.wanted)
        digest.update(msgspec.json.encode(said))
        yield digest.hexdigest()


def stale(held: Held) -> list[Partition]:
    """Return the partitions whose numbers were not held against what lies before them now."""
    return [
        one
        for (one, record), expected in zip(held, digests(held), strict=True)
        if record.seams != expected
    ]


def judge(
    lake: Lake, dataset: Fetched, part: str, terms: Terms, busy: Collection[Partition] = ()
) -> list[str]:
    """Hold the numbers of all partitions of a part against each other, and write what comes of it.

    Call it under the locks of those that are `stale`, less those that are `busy`: whoever writes
    them will hold them against what lies before. Returns the instruments that are in no list: what
    they did before their first number nobody can tell.
    """
    held = held_of(lake, dataset.name, part)
    to_judge = set(stale(held)) - {*busy}
    if not to_judge:
        return []
    covered = union(span for _, record in held for span in record.wanted)
    edges = [_edges(lake, dataset.proof, one, record) for one, record in held]
    born = births(lake)
    found = zip(holes_before(edges, born, covered), repeats_of(edges), strict=True)
    for (one, record), expected, (holes, again) in zip(held, digests(held), found, strict=True):
        if one in to_judge:
            inside = [gap for gap in record.gaps if not gap.is_before]
            before = [
                seam_gap(hole, record.looks, terms, dataset.proof.page_rows) for hole in holes
            ]
            before += map(repeat_gap, again)
            judged = replace(record, gaps=(*inside, *before), seams=expected)
            write_record(lake, one, judged)
    if born.is_empty():
        return []
    return sorted(set(pl.concat(edges)["instrument"]) - set(born["instrument"]))


def _edges(lake: Lake, proof: object, one: Partition, record: Record) -> pl.DataFrame:
    """Return the first and last numbers of a partition, those of refused rows among them."""
    edges = pl.DataFrame(schema=EDGES)
    if not isinstance(proof, SequenceProof):
        return edges
    clean, aside = lake.clean(one), lake.quarantine(one)
    if record.rows and clean.is_file():
        edges = edges_of(scan_files([clean]), proof.number, proof.of)
    if record.quarantined and aside.is_file():
        moment = pl.col("timestamp").dt.epoch("ms").alias("ms")
        names = pl.col(proof.of).alias("instrument"), pl.col(proof.number).alias("number")
        edges = with_refused(edges, scan_files([aside]).select(moment, *names).collect())
    return edges
