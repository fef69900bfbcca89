"""What is to be done to make a copy what its lake is; pure.

A copy may have been written by others since, and the lake may be the older of the two. So three
are compared: the lines of the source, those of the target, and what both had when they were last
made the same. What the target alone was changed in is never overwritten unasked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple


class Line(NamedTuple):
    """A ledger line as one side has it.

    Attributes
    ----------
    tag
        A digest of its content, or what the store calls it by.
    changed_ns
        When it was written [Unix ns], by the clock of where it lies.
    """

    tag: str
    changed_ns: int


class Pair(NamedTuple):
    """The tags both sides had when they were the same; empty where they never were.

    Where the next line was begun to be sent and nobody knows whether it arrived, it `is_begun`.
    """

    source: str = ""
    target: str = ""
    is_begun: bool = False


Lines = Mapping[str, Line]
"""Ledger lines by the name of their partition, ``dataset/part/period``."""


@dataclass(slots=True)
class Plan:
    """What is to be done with each partition, by name.

    Attributes
    ----------
    same
        Nothing.
    send
        The source's is put in place of the target's, or where there is none.
    compare
        Nobody knows which is which: both lines have to be read, see `judge`.
    remove
        The source has withdrawn it.
    theirs
        The target was written by others since: it has what the source has not.
    """

    same: list[str] = field(default_factory=list)
    send: list[str] = field(default_factory=list)
    compare: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)


def plan(source: Lines, target: Lines, known: Mapping[str, Pair]) -> Plan:
    """Return what is to be done to make the target's lines those of the source."""
    found = Plan()
    for name in sorted({*source, *target}):
        ours, there, both = source.get(name), target.get(name), known.get(name)
        if ours is not None:
            _of_source(found, name, ours, there, both)
        elif there is not None:
            is_as_left = both is not None and both.target in {"", there.tag}
            (found.remove if is_as_left else found.theirs).append(name)
    return found


def _of_source(found: Plan, name: str, ours: Line, there: Line | None, both: Pair | None) -> None:
    if there is None:
        found.send.append(name)
    elif there.tag == ours.tag or (both is not None and both[:2] == (ours.tag, there.tag)):
        found.same.append(name)
    elif both is not None and both.target == there.tag:
        found.send.append(name)
    else:
        found.compare.append(name)


def judge(
    found: Plan,
    source: Lines,
    target: Lines,
    alike: Collection[str],
    known: Mapping[str, Pair] = MappingProxyType({}),
) -> Plan:
    """Return a plan in which nothing is left to compare, told which lines were found alike.

    What the target was changed in since both were the same is its own. Where nobody knows what
    they were then, of two that differ the one written later is the newer one.
    """
    judged = Plan([*found.same], [*found.send], [], [*found.remove], [*found.theirs])
    for name in found.compare:
        both, there = known.get(name, Pair()), target[name]
        if name in alike:
            judged.same.append(name)
        elif both.target == there.tag:
            judged.send.append(name)
        elif (both.target and not both.is_begun) or there.changed_ns > source[name].changed_ns:
            judged.theirs.append(name)
        else:
            judged.send.append(name)
    return judged


def forced(found: Plan, source: Lines) -> Plan:
    """Return a plan that makes the target what the source is, whoever wrote it."""
    sent = [*found.send, *(name for name in found.theirs if name in source)]
    gone = [*found.remove, *(name for name in found.theirs if name not in source)]
    return Plan([*found.same], sent, [*found.compare], gone, [])


def raw_to_send(source: Mapping[str, int], target: Mapping[str, int]) -> list[str]:
    """Return the raw files the target lacks, by name; sizes [bytes] tell two of one name apart."""
    return sorted(name for name, size in source.items() if target.get(name) != size)


def raw_to_remove(
    source: Mapping[str, int], target: Mapping[str, int], known: Collection[str]
) -> list[str]:
    """Return the raw files the source no longer has, as it merged them; none of others.

    A merge leaves a file in its folder: a folder that has none was lost, and is kept.
    """
    folders = {_folder(name) for name in source}
    gone = (name for name in target if name not in source and name in known)
    return sorted(name for name in gone if _folder(name) in folders)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]
