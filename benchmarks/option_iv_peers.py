"""How users get implied volatility from a frame of option trades, library by library.

Each way takes a frame with `price_usd`, `forward`, `strike`, `tenor` (Float64) and `option_type`
(`call` or `put`) and returns `iv`, null or NaN where it finds none. All are given the forward, a
rate of zero and what spares them work. pyvolr and polars-vol take all cores unless
RAYON_NUM_THREADS and POLARS_MAX_THREADS say 1.

Run alone it times them on a million simulated trades: ``just bench option_iv_peers``. Not here:
opengreeks 0.2.0 (does not import on Python 3.11), fastvol 0.1.1 (no wheel), lets-be-precise
(closed; one row a call), py_vollib_vectorized (runs on no numba of today).
"""

import importlib
import warnings
from collections.abc import Callable

import numpy as np
import polars as pl

from benchmarks.machine import best, pin_to_one_core, show
from quant.kernels.black76 import price_and_greeks
from quant.kernels.implied_vol import implied_vol
from quant.kernels.traded_vol import half_steps
from tests.quant.markets import SETS

Way = Callable[[pl.DataFrame], pl.Series]

TRADES = 1_000_000
FEW = 5_000
ROUNDS = 3
MOST_LOST = 1e3
_IS_CALL = pl.col("option_type") == "call"


def ours(trades: pl.DataFrame) -> pl.Series:
    """Return what our kernel finds; NaN where there is none."""
    numbers = [trades[name].to_numpy() for name in ("price_usd", "forward", "strike", "tenor")]
    return pl.Series("iv", implied_vol(*numbers, _is_call(trades))[0])


def polars_vol(trades: pl.DataFrame) -> pl.Series:
    """Evaluate an expression, with the forward for the spot and no rate."""
    from polars_vol import implied_vol as solve  # noqa: PLC0415

    iv = solve("price_usd", "strike", "forward", "tenor", pl.lit(0.0), _IS_CALL, method="halley")
    return trades.select(iv=iv).to_series()


def pyvolr(trades: pl.DataFrame) -> pl.Series:
    """Solve arrays by Black-76."""
    from pyvolr import black76  # noqa: PLC0415

    numbers = [trades[name].to_numpy() for name in ("price_usd", "forward", "strike", "tenor")]
    flags = np.where(_is_call(trades), "c", "p")
    price, *terms = numbers
    return pl.Series("iv", black76.implied_vol(price, flags, *terms, 0.0, on_error="ignore"))


def lbriv(trades: pl.DataFrame) -> pl.Series:
    """Solve arrays for a forward and a tenor of 1, calls and puts apart."""
    from lbriv import vectorized_implied_vol_strikes as solve  # noqa: PLC0415

    forward = trades["forward"].to_numpy()
    price, strike = (trades[name].to_numpy() / forward for name in ("price_usd", "strike"))
    call, stdev = _is_call(trades), np.empty(trades.height)
    for rows, sign in ((call, 1), (~call, -1)):
        stdev[rows] = solve(price[rows], 1.0, strike[rows], sign)
    return pl.Series("iv", stdev / np.sqrt(trades["tenor"].to_numpy()))


def iv_engine(trades: pl.DataFrame) -> pl.Series:
    """Solve arrays, calls and puts apart."""
    from iv_engine import implied_volatilities as solve  # noqa: PLC0415

    numbers = [trades[name].to_numpy() for name in ("price_usd", "forward", "strike", "tenor")]
    call, iv = _is_call(trades), np.empty(trades.height)
    for rows, is_call in ((call, True), (~call, False)):
        iv[rows] = solve(*(column[rows] for column in numbers), is_call=is_call, parallel=False)
    return pl.Series("iv", iv)


def quantkit(trades: pl.DataFrame) -> pl.Series:
    """Solve arrays, with the forward for the spot and no rate; calls and puts apart."""
    from quantkit import implied_vol_batch as solve  # noqa: PLC0415

    price, forward, strike, tenor = (
        trades[name].to_numpy() for name in ("price_usd", "forward", "strike", "tenor")
    )
    call, iv = _is_call(trades), np.empty(trades.height)
    for rows, is_call in ((call, True), (~call, False)):
        terms = price[rows], forward[rows], strike[rows], 0.0, tenor[rows]
        iv[rows] = solve(*terms, is_call=is_call, errors="nan")
    return pl.Series("iv", iv)


def vollib(trades: pl.DataFrame) -> pl.Series:
    """Solve one row a call."""
    from py_lets_be_rational.exceptions import (  # noqa: PLC0415
        AboveMaximumException,
        BelowIntrinsicException,
    )
    from py_vollib.black.implied_volatility import (  # noqa: PLC0415
        implied_volatility_of_undiscounted_option_price as solve,
    )

    def one(price: float, forward: float, strike: float, tenor: float, kind: str) -> float:
        try:
            return solve(price, forward, strike, tenor, kind[0])
        except (AboveMaximumException, BelowIntrinsicException):
            return np.nan

    rows = trades.select("price_usd", "forward", "strike", "tenor", "option_type").iter_rows()
    return pl.Series("iv", [one(*row) for row in rows])


_PACKAGES: dict[str, tuple[str, Way]] = {
    "polars-vol": ("polars_vol", polars_vol),
    "pyvolr": ("pyvolr", pyvolr),
    "lbriv": ("lbriv", lbriv),
    "iv-engine": ("iv_engine", iv_engine),
    "quantkit-rs": ("quantkit", quantkit),
    "vollib": ("py_vollib", vollib),
}
SLOW = {"vollib"}
"""Ways that go row by row in Python: time them on a few thousand rows."""


def peers() -> list[tuple[str, Way]]:
    """Return the libraries that are installed, by name; says which are not."""
    found = []
    for name, (module, way) in _PACKAGES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            print(f"{name} is left out: {error}")
        else:
            found.append((name, way))
    return found


def simulated_trades(rows: int) -> pl.DataFrame:
    """Return trades of a made-up market at multiples of the tick; a few have no time value."""
    market = SETS["mkt"](rows)
    tick = 2.0 * half_steps(market.price / market.forward, 0.0001, 0.0005, 0.005)[0]
    coin = np.maximum(np.round(market.price / market.forward / tick), 1.0) * tick
    return pl.DataFrame({
        "price_usd": coin * market.forward,
        "forward": market.forward,
        "strike": market.strike,
        "tenor": market.tenor,
        "option_type": np.where(market.is_call, "call", "put"),
    })  # fmt: skip


def disagreement(
    iv: pl.Series, exact: pl.Series, trades: pl.DataFrame
) -> tuple[float, float, int, int]:
    """Return median and largest relative error, rows left unsolved, and rows solved that have none.

    Errors are against ours, where rounding the price alone makes no more than 1000 units of it.
    """
    theirs, right = iv.fill_null(np.nan).to_numpy(), exact.to_numpy()
    answered, answerable = np.isfinite(theirs) & (theirs > 0.0), np.isfinite(right)
    terms = (trades[name].to_numpy() for name in ("forward", "strike", "tenor"))
    per_point = price_and_greeks(*terms, right, _is_call(trades))[3]
    lost = trades["price_usd"].to_numpy() / (right * per_point * 100.0)
    judged = answered & (lost < MOST_LOST)
    errors = np.abs(theirs[judged] / right[judged] - 1.0)
    missing, made_up = answerable & ~answered, answered & ~answerable
    return float(np.median(errors)), float(errors.max()), int(missing.sum()), int(made_up.sum())


def main() -> None:
    """Time every way on the same trades, in one process on one core."""
    pin_to_one_core()
    warnings.simplefilter("ignore")  # of peers, which divide by zero and say so
    trades = simulated_trades(TRADES)
    exact = ours(trades)
    rows = []
    for name, way in [("deribit-lake", ours), *peers()]:
        part = trades.head(FEW) if name in SLOW else trades
        way(part.head(10))
        seconds = best(lambda way=way, part=part: way(part), ROUNDS)  # type: ignore[misc]
        median, worst, missing, made_up = disagreement(way(part), exact.head(part.height), part)
        rows.append((
            name, f"{part.height:,}", f"{seconds / part.height * 1e9:,.1f}",
            f"{median:.1e}", f"{worst:.1e}", f"{missing:,}", f"{made_up:,}",
        ))  # fmt: skip
    head = ("way", "trades", "ns/trade", "median error", "worst error", "unsolved", "made up")
    show("Implied volatility of a frame of trades", head, rows)


def _is_call(trades: pl.DataFrame) -> np.ndarray:
    return trades.select(_IS_CALL).to_series().to_numpy()


if __name__ == "__main__":
    main()
