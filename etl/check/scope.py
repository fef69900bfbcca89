"""What quality can ask of a dataset: gaps of what has a step, everything of candles."""

from dataclasses import dataclass

from etl.dataset import Computed, Dataset, Fetched
from etl.errors import UsageError
from etl.proof.grid_proof import GridProof
from validators.resolutions import MINUTE_MS, RESOLUTIONS
from validators.schemas.candles import Candles

NAMES = {minutes: name for name, minutes in RESOLUTIONS.items()}


@dataclass(frozen=True, slots=True)
class Scope:
    """How the rows of a dataset stand in time, and whether they are candles.

    `resolution` is Deribit's name of candles of the same step. A row that describes the past is
    also lost when an outage covers only a part of its step.
    """

    resolution: str
    describes_past: bool
    is_candles: bool


def scope_of(dataset: Dataset) -> Scope:
    """Return what quality can ask of a dataset.

    Raises
    ------
    UsageError
        If there is no check for it; the message says why.
    """
    if isinstance(dataset, Computed):
        if dataset.step_ms:
            return Scope(NAMES[dataset.step_ms // MINUTE_MS], describes_past=True, is_candles=False)
        made_from = ", ".join(dataset.inputs)
        raise _no_check(dataset, f"it is a function of {made_from}: check those, and `verify` it")
    if isinstance(dataset, Fetched) and isinstance(dataset.proof, GridProof):
        grid = dataset.proof.grid
        return Scope(
            NAMES[grid.step_ms // MINUTE_MS],
            describes_past=grid.closes_after_ms == 0,
            is_candles=issubclass(dataset.model, Candles),
        )
    raise _no_check(dataset, "its rows stand at no fixed step: `status` says what is missing")


def _no_check(dataset: Dataset, why: str) -> UsageError:
    return UsageError(f"quality has no check of {dataset.name}: {why}")
