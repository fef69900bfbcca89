"""The verdict on what is kept, dataset by dataset, and how old its newest row is."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from etl.check.status import Status, Verdict, overall, statuses
from etl.dataset import Computed, Dataset
from etl.sync.keep import Keeping
from lake.ledger import records
from lake.paths import Lake


class Verdicts(msgspec.Struct, frozen=True):
    """What is held of one dataset that is kept.

    `parts` are its instruments, indices or currencies; `why` is of the first that is not complete.
    `newest_ms` is its newest row [Unix ms], and `age_seconds` how long before the exchange's clock
    it lies; None where nothing is held.
    """

    dataset: str
    verdict: Verdict
    parts: int
    complete: int
    rows: int
    newest_ms: int | None
    age_seconds: float | None
    why: str = ""


def verdicts(
    lake: Lake, keeping: Keeping, parts: Mapping[str, Iterable[str]], now_ms: int
) -> list[Verdicts]:
    """Return the verdict on each dataset that is kept; parts held of it besides do not count.

    Parameters
    ----------
    parts
        The parts that are kept of what is fetched, by dataset; of one that is not in it all are.
    now_ms
        The exchange's clock.
    """
    kept = {name: set(some) for name, some in parts.items()}
    found = []
    for dataset in keeping.datasets:
        if isinstance(dataset, Computed):
            made = _parts_made(lake, dataset, kept)
            if made is not None:
                kept[dataset.name] = made
        found.append(_verdict(dataset, _of_parts(lake, dataset, kept.get(dataset.name)), now_ms))
    return found


def worst(found: Sequence[Verdicts]) -> Verdict:
    """Return the worst verdict; UNKNOWN where there is nothing."""
    ordered: tuple[Verdict, ...] = ("UNKNOWN", "INCOMPLETE", "COMPLETE")
    return min((one.verdict for one in found), key=ordered.index, default="UNKNOWN")


def _parts_made(lake: Lake, dataset: Computed, kept: Mapping[str, set[str]]) -> set[str] | None:
    """Return the parts of a computed dataset that are made from what is kept, None for all.

    One nothing is said of was to be made and was not: it counts.
    """
    if not any(name in kept for name in dataset.inputs):
        return None
    return {
        one.part
        for one, record in records(lake, dataset.name)
        if not record.inputs
        or any(each.dataset in kept and each.part in kept[each.dataset] for each in record.inputs)
    }


def _of_parts(lake: Lake, dataset: Dataset, parts: set[str] | None) -> list[Status]:
    found = statuses(lake, dataset.name)
    if parts is None:
        return found
    if isinstance(dataset, Computed):  # what should be made, and has no line yet, counts
        known = {one.part for one, _ in records(lake, dataset.name)}
        return [one for one in found if one.instrument in parts or one.instrument not in known]
    there = {one.instrument for one in found}
    lacking = [Status(dataset.name, one, "UNKNOWN", why="never fetched") for one in parts - there]
    return [*(one for one in found if one.instrument in parts), *lacking]


def _verdict(dataset: Dataset, found: Sequence[Status], now_ms: int) -> Verdicts:
    newest = max((one.last_ms for one in found if one.last_ms is not None), default=None)
    verdict, why = _told(dataset, found)
    return Verdicts(
        dataset.name,
        verdict,
        len(found),
        sum(one.verdict == "COMPLETE" for one in found),
        sum(one.rows for one in found),
        newest,
        None if newest is None else round(max(0, now_ms - newest) / 1000, 1),
        why,
    )


def _told(dataset: Dataset, found: Sequence[Status]) -> tuple[Verdict, str]:
    """Return the worst verdict of some parts, and why it is that of the first that has it."""
    if not found:
        is_made = isinstance(dataset, Computed)  # nothing is owed where there is nothing to make
        return ("COMPLETE", "nothing to make it from") if is_made else ("UNKNOWN", "never fetched")
    verdict = overall(found)
    if verdict == "COMPLETE":
        return verdict, ""
    first = next(one for one in found if one.verdict == verdict)
    gaps = ", ".join(f"{reason} {rows:,}" for reason, rows in first.gaps.items())
    return verdict, f"{first.instrument}: {first.why or gaps}"
