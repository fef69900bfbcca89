"""The one list of datasets: every command, status, view, table and page walks it.

No other module names a dataset to decide what to do: what differs stands in the dataset itself.
"""

import difflib
from collections.abc import Iterable, Iterator

from etl.compute.forward_curve import FORWARD_CURVE
from etl.compute.futures_basis import FUTURES_BASIS
from etl.compute.futures_curve import FUTURES_CURVE
from etl.compute.index_prices import INDEX_PRICES
from etl.compute.option_iv import OPTION_IV
from etl.compute.options_greeks import OPTIONS_GREEKS
from etl.compute.options_ohlcv import OPTIONS_OHLCV
from etl.compute.variance_swap import VARIANCE_SWAP
from etl.compute.vol_grid import CONSTANT_MATURITY_VOL, VOL_GRID
from etl.compute.vol_slices import VOL_SLICES
from etl.dataset import Computed, Dataset, Fetched, Snapshot
from etl.errors import UsageError
from etl.sources.candles import FUTURES_OHLCV, OPTIONS_CHART, PERPETUALS_OHLCV
from etl.sources.delivery_prices import DELIVERY_PRICES
from etl.sources.funding_rates import FUNDING_RATES
from etl.sources.index_minutes import INDEX_MINUTES
from etl.sources.instruments import INSTRUMENTS
from etl.sources.option_tickers import OPTION_TICKERS
from etl.sources.option_trades import OPTION_TRADES
from etl.sources.treasury_bills import TREASURY_BILLS
from etl.sources.volatility_index import VOLATILITY_INDEX

_ALL: list[Dataset] = [
    *PERPETUALS_OHLCV,
    *FUTURES_OHLCV,
    FUNDING_RATES,
    INDEX_MINUTES,
    INDEX_PRICES,
    *VOLATILITY_INDEX,
    DELIVERY_PRICES,
    OPTION_TRADES,
    OPTIONS_OHLCV,
    OPTIONS_CHART,
    OPTION_TICKERS,
    INSTRUMENTS,
    TREASURY_BILLS,
    FUTURES_BASIS,
    FUTURES_CURVE,
    FORWARD_CURVE,
    OPTION_IV,
    OPTIONS_GREEKS,
    VOL_SLICES,
    VOL_GRID,
    CONSTANT_MATURITY_VOL,
    VARIANCE_SWAP,
]
DATASETS: dict[str, Dataset] = {}
"""By name; what is computed stands after all it is made from."""


def register(dataset: Dataset) -> None:
    """Add a dataset to the list, in place of one of the same name.

    Raises
    ------
    ValueError
        If it is made from a dataset that is not in the list before it.
    """
    if isinstance(dataset, Computed):
        for name in dataset.inputs:
            if name not in DATASETS:
                message = f"{dataset.name} is made from {name}, which is not in the list before it"
                raise ValueError(message)
    DATASETS[dataset.name] = dataset


for _one in _ALL:
    register(_one)


def find(name: str, among: Iterable[Dataset] = ()) -> Dataset:
    """Return a dataset by its name, or by the short word commands have for it.

    Where a word is that of several, one among some is meant before others, and else the first.

    Raises
    ------
    UsageError
        If there is none; the message names the nearest.
    """
    meant = [*reversed(DATASETS.values()), *among]
    words = {word: one for one in meant for word in (*one.aliases, one.name)}
    if name in words:
        return words[name]
    near = difflib.get_close_matches(name, words, n=4, cutoff=0.6)
    nearest = dict.fromkeys(words[word].name for word in near)
    message = f"no dataset {name!r}; nearest: {', '.join(nearest or DATASETS)}"
    raise UsageError(message)


def maker_of(dataset: Dataset) -> str:
    """Return the command that brings a dataset into being."""
    if isinstance(dataset, Computed):
        return f"`deribit-lake compute {dataset.name}`"
    if isinstance(dataset, Snapshot):
        return f"`deribit-lake {dataset.maker}`"
    return f"`deribit-lake backfill {dataset.name}`"


def mender_of(name: str) -> str:
    """Return the command that asks again for what is missing of a dataset."""
    dataset = DATASETS.get(name)
    return maker_of(dataset) if isinstance(dataset, Snapshot) else "`deribit-lake heal`"


def find_fetched(name: str) -> Fetched:
    """Return a dataset that pages are fetched for.

    Raises
    ------
    UsageError
        If there is none, or it is made in another way; the message says by which command.
    """
    found = find(name)
    if isinstance(found, Computed):
        message = f"{found.name} is computed, not fetched: run {maker_of(found)}"
        raise UsageError(message)
    if isinstance(found, Snapshot):
        message = f"{found.name} comes in whole lists, not page by page: run {maker_of(found)}"
        raise UsageError(message)
    return found


def find_computed(name: str) -> Computed:
    """Return a dataset that is computed.

    Raises
    ------
    UsageError
        If there is none, or it is fetched.
    """
    found = find(name, computed())
    if not isinstance(found, Computed):
        words = ", ".join(one.name for one in computed())
        message = f"{found.name} is not computed; what is: {words}"
        raise UsageError(message)
    return found


def fetched() -> Iterator[Fetched]:
    """Yield the datasets that pages are fetched for."""
    return (one for one in DATASETS.values() if isinstance(one, Fetched))


def computed() -> Iterator[Computed]:
    """Yield the datasets that are computed, each after all it is made from."""
    return (one for one in DATASETS.values() if isinstance(one, Computed))


def in_resolution(name: str, resolution: str) -> Fetched:
    """Return a dataset of bars in one of the resolutions it is kept in.

    Raises
    ------
    UsageError
        If it is not kept in that resolution; the message names those it is kept in.
    """
    base = find_fetched(name)
    known = {one.resolution: one for one in fetched() if _is_of(one, base)}
    if resolution not in known:
        message = f"no resolution {resolution!r} of {base.name}; there are {', '.join(known)}"
        raise UsageError(message)
    return known[resolution]


def _is_of(one: Fetched, base: Fetched) -> bool:
    return one.name in {base.name, f"{base.name}_{one.resolution}"}
