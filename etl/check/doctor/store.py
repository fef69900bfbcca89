"""The store of a lake in a bucket: does it answer, what may the keys, does it keep its promises."""

from collections.abc import Iterator
from time import time

from etl.check.doctor.finding import Finding, found, well
from etl.check.doctor.locks import COLLECTS
from etl.check.doctor.situation import Situation
from etl.check.doctor.tree import HELD_S, marker
from lake.errors import RefusedByStoreError, UnconditionalStoreError, UnreachableStoreError
from lake.store.conditions import check_conditional
from lake.store.holders import Holding, holdings
from lake.store.objects import ObjectStore
from lake.store.place import ObjectPlace

CLOCK_S = 30.0
"""Seconds our clock may be off the store's; from 15 minutes on it refuses what we sign."""
SHOWN = 10


def look(situation: Situation) -> Iterator[Finding]:
    """Look at the store; of a lake on a disk there is none."""
    root, heard = situation.lake.root, situation.store_heard
    if heard is None or not isinstance(root, ObjectPlace):
        return
    if heard.error:
        yield found("store.unreachable", heard.error, address=heard.address)
        return
    ahead_s = heard.ahead_s or 0.0
    if abs(ahead_s) > CLOCK_S:
        what = f"our clock is {abs(ahead_s):,.0f} s {'ahead of' if ahead_s > 0 else 'behind'} it"
        yield found("store.clock", f"{heard.address}: {what}")
    try:
        yield from _of_lake(situation, root.store, time() - ahead_s)
    except RefusedByStoreError as error:
        yield found("store.refuses", str(error))
    except UnreachableStoreError as error:
        yield found("store.unreachable", str(error), address=heard.address)


def _of_lake(situation: Situation, store: ObjectStore, now_s: float) -> Iterator[Finding]:
    names, objects = store.folders()
    if names or objects:
        yield from marker(situation)
    else:
        yield found("lake.none", f"{store.url} is empty", folder=store.url)
    yield _of_writing(store)
    yield from _of_locks(list(holdings(store, now_s)))


def _of_writing(store: ObjectStore) -> Finding:
    """Write an object that is gone a moment later: only so it is known whether locks hold."""
    try:
        check_conditional(store)
    except UnconditionalStoreError as error:
        return found("store.unconditional", str(error))
    except RefusedByStoreError as error:
        return found("store.read_only", str(error))
    return well("store", f"{store.url} answers, and refuses puts whose condition does not hold")


def _of_locks(held: list[Holding]) -> Iterator[Finding]:
    """Say who holds locks; one that has lapsed hinders nobody."""
    for one in held:
        if one.seconds > HELD_S and not one.has_lapsed and not one.name.endswith(COLLECTS):
            hours = one.seconds / 3_600
            what = f"{_holder(one)} holds {one.name} for {hours:,.0f} hours"
            yield found("lake.lock", what, pid=one.owner.pid)
    living = [one for one in held if not one.has_lapsed]
    if living:
        who = ", ".join(sorted({_holder(one) for one in living}))
        yield well("store", f"{_locks(living)} held, by {who}")
    if lapsed := [one for one in held if one.has_lapsed]:
        it = "them" if len(lapsed) > 1 else "it"
        what = f"{_locks(lapsed)} of who is gone: whoever writes next takes {it} over"
        yield well("store", what, *(f"{one.name}: {_holder(one)}" for one in lapsed[:SHOWN]))


def _holder(one: Holding) -> str:
    return f"process {one.owner.pid} of {one.owner.host or 'another machine'}"


def _locks(some: list[Holding]) -> str:
    return f"{len(some)} lock{'s' * (len(some) > 1)}"
