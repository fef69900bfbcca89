"""Every calibration of SVI smiles and SSVI surfaces the package index has, on the same quotes.

Each takes the quotes of a surface and returns raw SVI, a row per slice. QuantLib counts time in
whole days, so it is given the days rounded and volatilities of the same total variance;
ssvi-surface takes bids and asks, so it is given those one error away. What turns quotes into what
they take is not timed.
"""

import contextlib
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import quantkit
import QuantLib
from scipy.optimize import least_squares
from ssvi_surface import SSVIModel

from quant.arbitrage import butterflies, calendars
from quant.essvi import sensitivities, to_raw_svi, total_variance
from quant.essvi_fit import Quotes, fit
from quant.kernels.black76 import price
from quant.svi import fitted

Task = Callable[[], np.ndarray]


SPOT = 100_000.0  # ssvi-surface stops by the size of prices: at 1 it does not begin


@dataclass(frozen=True)
class Peer:
    """A library: given quotes and tenors, a task that fits them; how many chains it gets."""

    name: str
    chains: int
    prepare: Callable[[Quotes, np.ndarray], Task]


def slices_of(quotes: Quotes, slices: int) -> list[slice]:
    """Return the rows of each slice."""
    first = np.searchsorted(quotes.slice_number, np.arange(slices + 1))
    return [slice(*pair) for pair in itertools.pairwise(first)]


def _ours(quotes: Quotes, tenor: np.ndarray) -> Task:
    one = np.zeros(len(tenor), dtype=np.int64)

    def task() -> np.ndarray:
        found = fit(quotes, tenor)
        svi = to_raw_svi(found.theta, found.rho, found.psi)
        butterflies(svi)
        calendars(svi, one)
        return svi

    return task


def _our_svi(quotes: Quotes, tenor: np.ndarray) -> Task:
    """Five numbers a slice, the last expiry first, none crossing the one fitted before."""
    rows = slices_of(quotes, len(tenor))[::-1]
    columns = (quotes.log_moneyness, quotes.iv, quotes.error)
    arrays = [np.concatenate([column[own] for own in rows]) for column in columns]
    number = np.repeat(np.arange(len(rows)), [own.stop - own.start for own in rows])
    one, last_first = np.zeros(len(rows), dtype=np.int64), tenor[::-1].copy()

    def task() -> np.ndarray:
        svi = fitted(number, *arrays, last_first, group=one).svi[::-1].copy()
        butterflies(svi)
        calendars(svi, one)
        return svi

    return task


def _scipy(quotes: Quotes, tenor: np.ndarray) -> Task:
    """Fit the same smile with the same loss, slice by slice: exact Jacobian, nothing held apart."""

    def one(rows: slice, years: float) -> np.ndarray:
        k, iv, error = (column[rows] for column in (quotes.log_moneyness, quotes.iv, quotes.error))
        level = iv[np.argmin(np.abs(k))] ** 2 * years

        def parameters(x: np.ndarray) -> tuple[float, float, float]:
            return np.exp(x[0]), np.tanh(x[1]), np.exp(x[2])

        def residual(x: np.ndarray) -> np.ndarray:
            return (np.sqrt(total_variance(k, *parameters(x)) / years) - iv) / error

        def jacobian(x: np.ndarray) -> np.ndarray:
            theta, rho, psi = parameters(x)
            model = np.sqrt(total_variance(k, theta, rho, psi) / years)
            by = sensitivities(k, theta, rho, psi) * [theta, 1.0 - rho * rho, psi]
            return by / (2.0 * model * years * error)[:, None]

        start = [np.log(level), 0.0, 0.5 * np.log(level)]
        found = least_squares(residual, start, jacobian, loss="soft_l1", x_scale="jac")
        return to_raw_svi(*(np.array([x]) for x in parameters(found.x)))[0]

    parts = list(zip(slices_of(quotes, len(tenor)), tenor, strict=True))
    return lambda: np.array([one(rows, years) for rows, years in parts])


def _quantkit(quotes: Quotes, tenor: np.ndarray) -> Task:
    parts = [
        (quotes.log_moneyness[rows], quotes.iv[rows] ** 2 * years)
        for rows, years in zip(slices_of(quotes, len(tenor)), tenor, strict=True)
    ]

    def one(k: np.ndarray, w: np.ndarray) -> list[float]:
        found = quantkit.svi_fit(k, w)
        return [found[name] for name in ("a", "b", "rho", "m", "sigma")]

    return lambda: np.array([one(k, w) for k, w in parts])


def _quantlib(quotes: Quotes, tenor: np.ndarray) -> Task:
    today = QuantLib.Date(1, 1, 2026)
    QuantLib.Settings.instance().evaluationDate = today

    def prepared(rows: slice, years: float) -> tuple[object, ...]:
        days = max(1, round(365 * years))
        k, iv = quotes.log_moneyness[rows], quotes.iv[rows] * np.sqrt(years / (days / 365))
        level = float(iv[np.argmin(np.abs(k))])
        start = (0.5 * level * level * days / 365, 0.1 * level * np.sqrt(days / 365))
        return today + days, np.exp(k).tolist(), level, iv.tolist(), *start

    def one(
        date: object, strikes: list[float], level: float, iv: list[float], a: float, b: float
    ) -> list[float]:
        section = QuantLib.SviInterpolatedSmileSection(
            date, 1.0, strikes, False, level, iv, a, b, 0.1, 0.0, 0.0,  # noqa: FBT003
            False, False, False, False, False, False,  # noqa: FBT003
        )  # fmt: skip
        section.volatility(1.0)  # it is lazy
        return [section.a(), section.b(), section.rho(), section.m(), section.sigma()]

    parts = [
        prepared(rows, years)
        for rows, years in zip(slices_of(quotes, len(tenor)), tenor, strict=True)
    ]

    def task() -> np.ndarray:
        out = np.full((len(parts), 5), np.nan)
        for row, part in zip(out, parts, strict=True):
            with contextlib.suppress(RuntimeError):  # how it says that it found none
                row[:] = one(*part)
        return out

    return task


def _ssvi_surface(quotes: Quotes, tenor: np.ndarray) -> Task:
    strike, is_call = SPOT * np.exp(quotes.log_moneyness), quotes.log_moneyness >= 0
    years = tenor[quotes.slice_number]
    bid, ask = (
        price(np.full_like(strike, SPOT), strike, years, np.maximum(iv, 1e-3), is_call)
        for iv in (quotes.iv - quotes.error, quotes.iv + quotes.error)
    )
    types = np.where(is_call, "call", "put")
    lists = [
        [column[rows] for rows in slices_of(quotes, len(tenor))]
        for column in (strike, bid, ask, types)
    ]

    def task() -> np.ndarray:
        model = SSVIModel()
        with contextlib.redirect_stdout(io.StringIO()):  # its warnings
            model.fit(tenor, *lists, S0=SPOT, r=0.0, q=0.0)
        theta = model.theta_t
        psi = model.eta * theta ** (1.0 - model.gamma)
        return to_raw_svi(theta, np.full(len(theta), model.rho), psi)

    return task


OURS = Peer("deribit-lake, eSSVI and checks", 24, _ours)
PEERS = (
    OURS,
    Peer("deribit-lake, raw SVI and checks", 24, _our_svi),
    Peer("scipy least_squares, slice by slice", 24, _scipy),
    Peer("quantkit-rs svi_fit", 24, _quantkit),
    Peer("QuantLib SviInterpolatedSmileSection", 12, _quantlib),
    Peer("ssvi-surface", 3, _ssvi_surface),
)
