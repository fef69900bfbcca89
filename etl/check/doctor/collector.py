"""The collector, by its own page, and by the lock it holds on the lake."""

from collections.abc import Iterator

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.locks import COLLECTS, holder, holders
from etl.check.doctor.situation import Situation


def look(situation: Situation) -> Iterator[Finding]:
    """Ask the collector's page, and look whether anybody collects into this lake."""
    settings = situation.settings
    lock = settings.root.absolute() / "live" / COLLECTS
    pid = holder(lock, holders())
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
