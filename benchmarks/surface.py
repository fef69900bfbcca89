"""Calibration of volatility surfaces on one core, ours and everyone's, on the same slices.

Run it with the group `bench`: ``uv run --group bench just bench surface``. Chains are hours of the
simulated market, mids weighted by their spreads, of both truths; slices with fewer than six
quotes are left out, because most others refuse them.
"""

import time
import warnings
from collections.abc import Sequence

import numpy as np

from benchmarks.machine import pin_to_one_core, show
from benchmarks.surface_peers import OURS, PEERS, Peer, slices_of
from quant.arbitrage import butterflies, calendars
from quant.essvi_fit import Quotes
from tests.quant.chains import Snapshot, snapshot
from tests.quant.surfaces import TENORS, noisy, quotes_of, some, typical

HOURS, ROUNDS, LEAST_QUOTES, SECONDS = range(0, 480, 20), 15, 6, 10.0
HEAD = (
    "calibration", "slices", "slices/s", "of ours", "RMSE to quotes [vol points]", "to the truth",
    "butterflies", "calendars", "not solved",
)  # fmt: skip


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")  # of peers, which divide by zero and say so
    pin_to_one_core()
    for form in ("ssvi", "mixture"):
        chains = [quoted(snapshot(form, hour, marks=False)) for hour in HOURS]
        show(f"Mids of the simulated market, {form}: {sizes(chains)}", HEAD, rows_of(chains))
    full = [full_chain(seed) for seed in range(24)]
    show(f"Made-up chains: {sizes(full)}", HEAD, rows_of(full))


def full_chain(seed: int) -> Snapshot:
    """Return a chain of 15 slices and 705 quotes with noise of a third of their error."""
    rng = np.random.default_rng(seed)
    exact = quotes_of(typical(), rng=rng)
    return Snapshot(noisy(exact, rng, times=1 / 3), TENORS, exact.iv)


def quoted(shot: Snapshot) -> Snapshot:
    """Return the slices of a chain that have enough quotes for everyone."""
    count = np.bincount(shot.quotes.slice_number, minlength=len(shot.tenor))
    good = np.flatnonzero(count >= LEAST_QUOTES)
    kept = np.isin(shot.quotes.slice_number, good)
    rows = some(shot.quotes, kept)
    number = np.searchsorted(good, rows.slice_number)
    columns = (rows.log_moneyness, rows.iv, rows.error, rows.weight)
    return Snapshot(Quotes(number, *columns), shot.tenor[good], shot.true_iv[kept])


def sizes(chains: Sequence[Snapshot]) -> str:
    """Return how much there is to fit."""
    slices = sum(len(chain.tenor) for chain in chains)
    quotes = sum(len(chain.true_iv) for chain in chains)
    return f"{len(chains)} surfaces, {slices} slices, {quotes:,} quotes"


def rows_of(chains: Sequence[Snapshot]) -> list[tuple[str, ...]]:
    """Fit all chains with every library and judge what it found."""
    results = {peer: timed(peer, chains) for peer in PEERS}
    ours, _ = results[OURS]
    return [
        (
            peer.name,
            f"{sum(map(len, found)):,}",
            f"{speed:,.0f}",
            f"{speed / ours:.4f}",
            *judged(chains[: peer.chains], found),
        )
        for peer, (speed, found) in results.items()
    ]


def timed(peer: Peer, chains: Sequence[Snapshot]) -> tuple[float, list[np.ndarray]]:
    """Return slices a second at best, and the slices found; slow ones run once."""
    tasks = [peer.prepare(chain.quotes, chain.tenor) for chain in chains[: peer.chains]]
    tasks[0]()
    best = np.inf
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = [task() for task in tasks]
        best = min(best, time.perf_counter() - started)
        if best > SECONDS / ROUNDS:
            break
    return sum(map(len, found)) / best, found


def judged(chains: Sequence[Snapshot], found: Sequence[np.ndarray]) -> tuple[str, ...]:
    """Return errors by 1/error**2 against quotes and truth, and how many slices admit arbitrage."""
    surface = np.repeat(np.arange(len(found)), [len(svi) for svi in found])
    svi = np.concatenate(found)
    errors = np.array([misses(chain, svi) for chain, svi in zip(chains, found, strict=True)])
    points = 100 * np.sqrt(np.nanmean(errors**2, axis=0))
    return (
        f"{points[0]:.3f}", f"{points[1]:.3f}",
        f"{butterflies(svi).violations:,}", f"{calendars(svi, surface).violations:,}",
        f"{np.isnan(svi[:, 0]).sum():,}",
    )  # fmt: skip


def misses(chain: Snapshot, svi: np.ndarray) -> tuple[float, float]:
    """Root mean square of model less quotes, and less the truth [1/sqrt(yr)]."""
    model = np.full(len(chain.true_iv), np.nan)
    rows = zip(slices_of(chain.quotes, len(svi)), svi, chain.tenor, strict=True)
    for own, (a, b, rho, m, sigma), years in rows:
        d = chain.quotes.log_moneyness[own] - m
        w = a + b * (rho * d + np.sqrt(d * d + sigma * sigma))
        model[own] = np.sqrt(np.maximum(w, 0.0) / years)
    precise = np.where(np.isnan(model), 0.0, chain.quotes.error**-2)
    quote, truth = (
        np.sqrt(np.nansum(precise * (model - iv) ** 2) / precise.sum())
        for iv in (chain.quotes.iv, chain.true_iv)
    )
    return float(quote), float(truth)


if __name__ == "__main__":
    main()
