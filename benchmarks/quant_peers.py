"""Every solver of implied volatility and source of Greeks the package index has, on one footing.

Not here: py_vollib_vectorized 0.1.1 (its solver fails to compile with any numba that runs on
today's numpy), volfi and voltic (no packages). lbriv solves at a forward of 1 and a tenor of 1:
what takes the rows there is not timed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import fast_vollib
import iv_engine
import lbriv
import numpy as np
import pyfeng
import QuantLib
from py_lets_be_rational.exceptions import AboveMaximumException, BelowIntrinsicException
from py_vollib.black.implied_volatility import (
    implied_volatility_of_undiscounted_option_price as _vollib_solver,
)
from scipy.optimize import newton
from scipy.special import ndtr

from quant.kernels.black76 import price_and_greeks
from quant.kernels.elementary import INV_SQRT_2PI
from quant.kernels.implied_vol import implied_vol
from tests.quant.markets import Market

Task = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Peer:
    """A library: given a market, a task that solves it and returns what it found."""

    name: str
    rows: int
    prepare: Callable[[Market], Task]


def _by_type(market: Market, solve: Callable[[np.ndarray, bool], np.ndarray]) -> Task:
    """For libraries that take one option type a call: calls, then puts."""
    calls, puts = np.flatnonzero(market.is_call), np.flatnonzero(~market.is_call)

    def task() -> np.ndarray:
        out = np.empty(market.price.shape[0])
        out[calls], out[puts] = solve(calls, True), solve(puts, False)  # noqa: FBT003
        return out

    return task


def _lbriv(market: Market) -> Task:
    price, strike = market.price / market.forward, market.strike / market.forward
    stdev = np.sqrt(market.tenor)
    sides = {
        call: (np.ascontiguousarray(price[kept]), np.ascontiguousarray(strike[kept]), stdev[kept])
        for call, kept in ((True, market.is_call), (False, ~market.is_call))
    }

    def solve(_rows: np.ndarray, call: bool) -> np.ndarray:  # noqa: FBT001
        p, k, s = sides[call]
        return lbriv.vectorized_implied_vol_strikes(p, 1.0, k, 1 if call else -1) / s

    return _by_type(market, solve)


def _iv_engine(market: Market) -> Task:
    sides = {}
    for call, kept in ((True, market.is_call), (False, ~market.is_call)):
        sides[call] = [column[kept] for column in market.quotes[:4]]

    def solve(_rows: np.ndarray, call: bool) -> np.ndarray:  # noqa: FBT001
        return iv_engine.implied_volatilities(*sides[call], is_call=call, parallel=False)

    return _by_type(market, solve)


def _pyfeng(market: Market) -> Task:
    model, sign = pyfeng.Bsm(0.2, is_fwd=True), np.where(market.is_call, 1, -1)
    return lambda: model.impvol(market.price, market.strike, market.forward, market.tenor, cp=sign)


def _fast_vollib(backend: str) -> Callable[[Market], Task]:
    def prepare(market: Market) -> Task:
        flags = np.where(market.is_call, "c", "p")
        return lambda: fast_vollib.fast_implied_volatility_black(
            market.price, market.forward, market.strike, 0.0, market.tenor, flags,
            on_error="ignore", return_as="numpy", backend=backend,
        )  # fmt: skip

    return prepare


def _quantlib(market: Market) -> Task:
    rows = list(zip(*(column.tolist() for column in market.quotes), strict=True))

    def one(p: float, f: float, k: float, years: float, call: bool) -> float:  # noqa: FBT001
        kind = QuantLib.Option.Call if call else QuantLib.Option.Put
        try:
            stdev = QuantLib.blackFormulaImpliedStdDev(kind, k, f, p, 1.0, 0.0, 0.5, 1e-12)
        except RuntimeError:  # how it says that it found none
            return np.nan
        return stdev / years**0.5

    return lambda: np.array([one(*row) for row in rows])


def _vollib(market: Market) -> Task:
    rows = list(zip(*(column.tolist() for column in market.quotes), strict=True))

    def one(p: float, f: float, k: float, years: float, call: bool) -> float:  # noqa: FBT001
        try:
            return _vollib_solver(p, f, k, years, "c" if call else "p")
        except (AboveMaximumException, BelowIntrinsicException):
            return np.nan

    return lambda: np.array([one(*row) for row in rows])


def _scipy_newton(market: Market) -> Task:
    sign = np.where(market.is_call, 1.0, -1.0)
    f, k, root = market.forward, market.strike, np.sqrt(market.tenor)
    x = np.log(f / k)
    start = np.maximum(np.sqrt(2.0 * np.abs(x)), 1e-3)  # the inflection: Newton converges from it

    def error(stdev: np.ndarray) -> np.ndarray:
        d1 = x / stdev + 0.5 * stdev
        return sign * (f * ndtr(sign * d1) - k * ndtr(sign * (d1 - stdev))) - market.price

    def slope(stdev: np.ndarray) -> np.ndarray:
        d1 = x / stdev + 0.5 * stdev
        return f * INV_SQRT_2PI * np.exp(-0.5 * d1 * d1)

    def task() -> np.ndarray:
        with np.errstate(all="ignore"):
            return newton(error, start, slope, maxiter=100, disp=False) / root

    return task


OURS = Peer("deribit-lake", 1_000_000, lambda market: lambda: implied_vol(*market.quotes)[0])
SOLVERS = (
    OURS,
    Peer("lbriv (Cython, Let's Be Rational)", 1_000_000, _lbriv),
    Peer("iv-engine (Rust, Let's Be Rational)", 1_000_000, _iv_engine),
    Peer("pyfeng Bsm.impvol", 1_000_000, _pyfeng),
    Peer("fast-vollib, numba", 1_000_000, _fast_vollib("numba")),
    Peer("fast-vollib, numpy", 100_000, _fast_vollib("numpy")),
    Peer("scipy.optimize.newton", 100_000, _scipy_newton),
    Peer("QuantLib, accuracy 1e-12", 20_000, _quantlib),
    Peer("vollib (Let's Be Rational)", 5_000, _vollib),
)


def numpy_greeks(market: Market) -> Task:
    """Price and five Greeks as one writes them down, with scipy.special.ndtr."""
    f, k, years, iv = market.forward, market.strike, market.tenor, market.iv
    sign = np.where(market.is_call, 1.0, -1.0)

    def task() -> np.ndarray:
        root = np.sqrt(years)
        stdev = iv * root
        d1 = np.log(f / k) / stdev + 0.5 * stdev
        d2 = d1 - stdev
        density = INV_SQRT_2PI * np.exp(-0.5 * d1 * d1)
        asset, cash = ndtr(sign * d1), ndtr(sign * d2)
        price = sign * (f * asset - k * cash)
        gamma, vega = density / (f * stdev), f * density * root / 100
        day = f * density * iv / (2 * root) / 365 * np.minimum(1.0, 365 * years)
        return (
            price,
            sign * asset,
            gamma,
            vega,
            -np.minimum(day, price),
            sign * k * years * cash / 100,
        )

    return task


def fast_vollib_greeks(market: Market) -> Task:
    """Price and five Greeks of the library nearest to ours."""
    flags = np.where(market.is_call, "c", "p")
    columns = (market.forward, market.strike, market.tenor)

    def task() -> np.ndarray:
        options = {"return_as": "numpy", "backend": "numba"}
        price = fast_vollib.fast_black(flags, *columns, 0.0, market.iv, **options)
        greeks = fast_vollib.get_all_greeks(
            flags, *columns, 0.0, market.iv, model="black", **options
        )
        return price, greeks

    return task


def our_greeks(market: Market, out: np.ndarray | None = None, threads: int = 1) -> Task:
    """Price and five Greeks of ours."""
    columns = (market.forward, market.strike, market.tenor, market.iv, market.is_call)
    return lambda: price_and_greeks(*columns, threads=threads, out=out)


def copy_floor(market: Market) -> Task:
    """Five columns read and six new ones written, and nothing computed."""
    columns = (market.forward, market.strike, market.tenor, market.iv, market.price)

    def task() -> np.ndarray:
        out = np.empty((6, columns[0].shape[0]))
        for row, column in zip(out, (*columns, columns[0]), strict=True):
            row[:] = column
        return out

    return task
