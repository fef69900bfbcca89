"""Who holds the locks of a lake in a bucket, for whoever only looks: nothing is written."""

from collections.abc import Iterator
from typing import NamedTuple

from lake.store.lease import RENEWALS, Owner, free, lasting, read_owner
from lake.store.objects import Found, ObjectStore
from lake.store.place import ObjectPlace

WITHOUT_LOCKS = {"raw", "clean", "derived", "ledger"}


class Holding(NamedTuple):
    """A lock that an owner wrote last, and did not set free."""

    name: str
    owner: Owner
    has_lapsed: bool

    @property
    def seconds(self) -> float:
        """How long it has been held, by how often it was renewed [s]."""
        return self.owner.renewed * self.owner.lease_seconds / RENEWALS


def holdings(store: ObjectStore, now_s: float) -> Iterator[Holding]:
    """Yield the locks of a lake that are not free.

    A free lock is known by its size in the listing: only the others are read.

    Parameters
    ----------
    now_s
        The store's own clock [Unix s].
    """
    size = len(free())
    for found in _in_folders(store):
        if found.key.endswith(".lock") and found.size != size:
            seen = read_owner(ObjectPlace(store, found.key))
            if seen is not None and not seen[0].is_nobody:
                lapsed = seen[0].is_gone or now_s - seen[1].changed_s > lasting(seen[0], store)
                yield Holding(found.key, seen[0], lapsed)


def owner_of(place: ObjectPlace) -> Owner | None:
    """Return who wrote a lock last and did not set it free, None where nobody did."""
    seen = read_owner(place)
    return None if seen is None or seen[0].is_nobody else seen[0]


def _in_folders(store: ObjectStore) -> Iterator[Found]:
    """Yield the objects of the folders that locks lie in."""
    names, found = store.folders()
    yield from found
    for name in names:
        if name not in WITHOUT_LOCKS:
            yield from store.below(name)
