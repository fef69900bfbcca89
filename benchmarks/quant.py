"""Implied volatility and Greeks: time and exactness, ours and everyone's, in the same minute.

Run it with the group `bench`: ``uv run --group bench just bench quant``.
"""

import os
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl

from benchmarks.machine import show
from benchmarks.quant_peers import (
    OURS,
    SOLVERS,
    Peer,
    copy_floor,
    fast_vollib_greeks,
    numpy_greeks,
    our_greeks,
)
from quant.kernels.implied_vol import implied_vol
from tests.quant.markets import SETS, Market
from tests.quant.recorded import FILES, QUANTITIES, RECORDED, compared
from tests.quant.reference import EPS, Option, implied_vol_error

ROUNDS = 5
JUDGED = 1_500
MOST_CONDITION = 1e6
CORES = os.sched_getaffinity(0)


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")  # of peers, which divide by zero and say so
    for name, make in solver_sets().items():
        show(f"Implied volatility, {name}", SOLVER_HEAD, solver_rows(make))
    show("Implied volatility, mkt, 1M rows, by threads", ("threads", "ns/option"), thread_rows())
    show("Price and five Greeks, mkt", ("source", "rows", "ns/option", "of ours"), greek_rows())
    if RECORDED.is_dir():
        show(
            "Ours less Deribit's own", ("quotes", "quantity", "median", "p95", "max"), quote_rows()
        )


def solver_sets() -> dict[str, Callable[[int], Market]]:
    """Return the markets the solvers are timed on, by name."""
    recorded = {"recorded chain": recorded_chain} if RECORDED.is_dir() else {}
    return {name: partial(make) for name, make in SETS.items()} | recorded


def recorded_chain(rows: int) -> Market:
    """Return the options of two recorded markets, over and over."""
    frames = [compared(name) for name in ("BTC 2021-02", "ETH 2021-02")]
    quotes = pl.concat([frame.select(CHAIN) for frame in frames])
    columns = [np.resize(quotes[name].to_numpy(), rows) for name in CHAIN]
    forward, strike, tenor, iv, is_call, premium = columns
    return Market(premium * forward, forward, strike, tenor, is_call == "call", iv)


CHAIN = ("forward", "strike", "tenor", "iv", "option_type", "their_mark_price")
SOLVER_HEAD = ("solver", "rows", "ns/option", "of ours", "worst error / attainable", "unsolved")


def solver_rows(make: Callable[[int], Market]) -> list[tuple[str, ...]]:
    """Time every solver on the same rows, round by round, on one core."""
    os.sched_setaffinity(0, {max(CORES)})
    markets = {rows: make(rows) for rows in {peer.rows for peer in SOLVERS}}
    tasks = {peer: peer.prepare(markets[peer.rows]) for peer in SOLVERS}
    best = best_of_rounds({peer.name: (task, peer.rows) for peer, task in tasks.items()})
    judged = make(JUDGED)
    rows = []
    for peer in SOLVERS:
        worst, unsolved = exactness(peer, judged)
        rows.append((
            peer.name, f"{peer.rows:,}", f"{best[peer.name]:.1f}",
            f"{best[peer.name] / best[OURS.name]:.1f}", f"{worst:.3g}", f"{unsolved:,}",
        ))  # fmt: skip
    os.sched_setaffinity(0, CORES)
    return rows


def exactness(peer: Peer, market: Market) -> tuple[float, int]:
    """Worst error over what rounding the price makes, and how many rows it did not solve."""
    _, status = implied_vol(*market.quotes)
    found = peer.prepare(market)()
    worst, unsolved = 0.0, 0
    for i in np.flatnonzero(status == 0):
        if not np.isfinite(found[i]) or found[i] <= 0.0:
            unsolved += 1
            continue
        option = Option(
            *(column[i] for column in market.quotes[1:4]), found[i], bool(market.is_call[i])
        )
        error, condition = judge(option, market.price[i])
        if condition < MOST_CONDITION:
            worst = max(worst, error / (EPS * max(1.0, condition)))
    return worst, unsolved


def judge(option: Option, price: float) -> tuple[float, float]:
    """Error and condition, both at the exact volatility, which ours is for this purpose."""
    quote = [np.array([x]) for x in (price, option.forward, option.strike, option.tenor)]
    exact = implied_vol(*quote, np.array([option.is_call]))[0][0]
    right = Option(option.forward, option.strike, option.tenor, exact, option.is_call)
    error, condition = implied_vol_error(right, price)
    return abs(option.iv / exact - 1.0) + error, condition


def thread_rows() -> list[tuple[str, ...]]:
    """Time one and two threads on all cores."""
    market = SETS["mkt"](1_000_000)
    tasks = {
        str(threads): (partial(implied_vol, *market.quotes, threads=threads), 1_000_000)
        for threads in (1, 2)
    }
    return [(name, f"{ns:.1f}") for name, ns in best_of_rounds(tasks).items()]


def greek_rows() -> list[tuple[str, ...]]:
    """Time sources of Greeks, where the results fit the cache and where they do not."""
    os.sched_setaffinity(0, {max(CORES)})
    rows = []
    for n in (1_000_000, 10_000_000):
        market = SETS["mkt"](n)
        tasks = {
            "deribit-lake": our_greeks(market),
            "deribit-lake, out=": our_greeks(market, np.empty((6, n))),
            "numpy and scipy.special.ndtr": numpy_greeks(market),
            "fast-vollib, numba": fast_vollib_greeks(market),
            "copying five columns to six new ones": copy_floor(market),
        }
        best = best_of_rounds({name: (task, n) for name, task in tasks.items()})
        ours = best["deribit-lake"]
        rows += [(name, f"{n:,}", f"{ns:.1f}", f"{ns / ours:.2f}") for name, ns in best.items()]
    os.sched_setaffinity(0, CORES)
    return rows


def quote_rows() -> list[tuple[str, ...]]:
    """Differences from the exchange's own numbers."""
    rows = []
    for name in FILES:
        quotes = compared(name)
        for quantity in QUANTITIES:
            errors = quotes[f"{quantity}_error"]
            figures = (errors.median(), errors.quantile(0.95, "linear"), errors.max())
            rows.append((name, quantity, *(f"{figure:.2g}" for figure in figures)))
    return rows


def best_of_rounds(tasks: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """Return the least wall time per row [ns] of each task; every round runs all of them."""
    best = dict.fromkeys(tasks, np.inf)
    for _ in range(ROUNDS):
        for name, (task, rows) in tasks.items():
            started = time.perf_counter()
            task()
            best[name] = min(best[name], (time.perf_counter() - started) / rows * 1e9)
    return best


if __name__ == "__main__":
    main()
