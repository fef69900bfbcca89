"""The collector, by its own page, and by the lock it holds on the lake."""

from collections.abc import Iterator
from pathlib import Path

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.locks import COLLECTS, holder, holders
from etl.check.doctor.situation import Situation
from lake.store.holders import owner_of


def _collects(situation: Situation) -> int | None:
    """Return the process of this machine that collects, None where none does."""
    if not situation.is_in_bucket:
        return holder(situation.here / "live" / COLLECTS, holders())
    lock = situation.lake.root / "live" / COLLECTS
    if situation.is_offline or situation.silence or isinstance(lock, Path):
        return None
    told = owner_of(lock)
    return told.pid if told is not None and told.is_of_this_machine and not told.is_gone else None


def look(situation: Situation) -> Iterator[Finding]:
    """Ask the collector's page, and look whether anybody collects into this lake."""
    settings = situation.settings
    pid = _collects(situation)
    if not settings.collect.listen:
        told = "no process" if pid is None else f"process {pid}"
        yield unseen("collector", f"{told} collects; collect.listen is empty: it has no page")
        return
    verdict, told = situation.ask_collector(settings)
    if verdict == "fresh":
        yield well("collector", told)
    elif verdict == "alarm":
        yield found("collector.alarm", told)
    elif pid is not None:
        yield found("collector.silent", f"process {pid} collects; {told}", pid=pid)
    else:
        yield unseen("collector", told)
