"""Restore as the command does, in this process."""

from etl.backup.restore import restore
from etl.progress import LogProgress
from tests.etl.staged import RULES


def restored(repository, folder, *, snapshot="latest", parts=("lake",), load=None, force=False):
    return restore(
        repository,
        repository.choose(snapshot, None),
        folder,
        parts=parts,
        load=load,
        rules=RULES,
        progress=LogProgress(),
        force=force,
    )
