"""How users get Greeks from a frame of option quotes, library by library.

Each way takes a frame with `forward`, `strike`, `tenor`, `iv` (Float64) and `option_type` (`call`
or `put`) and returns delta, with gamma, vega, theta and rho made beside it. Ours makes the price,
too, and caps theta as Deribit does. polars-vol and pyvolr take all cores unless RAYON_NUM_THREADS
and POLARS_MAX_THREADS say 1.

py_vollib_vectorized runs on no numba of today: it is timed in an environment of its own, which uv
makes of the versions it was last seen to run with.
"""

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.machine import best, pin_to_one_core, show
from quant.black76 import with_price_and_greeks
from tests.quant.markets import SETS

Way = Callable[[pl.DataFrame], pl.Series]

QUOTES, FEW, ROUNDS = 1_000_000, 20_000, 5
MOST_OFF = 1e-6
_IS_CALL = pl.col("option_type") == "call"
_TERMS = ("forward", "strike", "tenor", "iv")
_OLD = (
    "py_vollib_vectorized==0.1.1", "numpy==1.26.4", "numba==0.59.1", "pandas==2.2.3",
    "py_lets_be_rational==1.0.1", "py_vollib==1.0.1", "setuptools<81",
)  # fmt: skip
_TIMED = """
import sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from py_vollib_vectorized import get_all_greeks
told = np.load(sys.argv[1])
terms = [told[name] for name in ("flag", "forward", "strike", "tenor", "rate", "iv")]
def run():
    return get_all_greeks(*terms, model="black", return_as="dict")["delta"]
delta, took = run(), []
for _ in range(int(sys.argv[3])):
    begun = time.perf_counter()
    run()
    took.append(time.perf_counter() - begun)
np.savez(sys.argv[2], delta=delta, seconds=min(took))
"""


def ours(quotes: pl.DataFrame) -> pl.Series:
    """Add price and Greeks to the frame."""
    return with_price_and_greeks(quotes)["delta"]


def fast_vollib(quotes: pl.DataFrame) -> pl.Series:
    """Compute arrays by Black-76, compiled by numba."""
    from fast_vollib import get_all_greeks  # noqa: PLC0415

    forward, strike, tenor, iv = _arrays(quotes)
    options = {"model": "black", "return_as": "dict", "backend": "numba"}
    found = get_all_greeks(_flags(quotes), forward, strike, tenor, 0.0, iv, **options)
    return pl.Series("delta", found["delta"])


def pyvolr(quotes: pl.DataFrame) -> pl.Series:
    """Compute arrays by Black-76."""
    from pyvolr import black76  # noqa: PLC0415

    forward, strike, tenor, iv = _arrays(quotes)
    return pl.Series(
        "delta", black76.greeks(_flags(quotes), forward, strike, tenor, 0.0, iv)["delta"]
    )


def polars_vol(quotes: pl.DataFrame) -> pl.Series:
    """Evaluate an expression, with the forward for the spot and no rate."""
    from polars_vol import black_scholes_with_greeks as greeks  # noqa: PLC0415

    found = greeks("strike", "forward", "iv", "tenor", pl.lit(0.0), _IS_CALL).alias("found")
    return quotes.select(found).unnest("found")["delta"]


def quantkit(quotes: pl.DataFrame) -> pl.Series:
    """Compute arrays, with the forward for the spot and no rate; calls and puts apart."""
    from quantkit import bs_greeks_batch as greeks  # noqa: PLC0415

    forward, strike, tenor, iv = _arrays(quotes)
    call, delta = quotes.select(_IS_CALL).to_series().to_numpy(), np.empty(quotes.height)
    for rows, is_call in ((call, True), (~call, False)):
        terms = forward[rows], strike[rows], 0.0, iv[rows], tenor[rows]
        delta[rows] = greeks(*terms, is_call=is_call)["delta"]
    return pl.Series("delta", delta)


def vollib(quotes: pl.DataFrame) -> pl.Series:
    """Compute one row and one Greek a call."""
    from py_vollib.black.greeks import analytical  # noqa: PLC0415

    kinds = [getattr(analytical, name) for name in ("delta", "gamma", "vega", "theta", "rho")]
    columns = (column.tolist() for column in (_flags(quotes), *_arrays(quotes)))
    delta = []
    for flag, forward, strike, tenor, iv in zip(*columns, strict=True):
        found = [greek(flag, forward, strike, tenor, 0.0, iv) for greek in kinds]
        delta.append(found[0])
    return pl.Series("delta", delta)


PEERS: dict[str, Way] = {
    "fast-vollib 0.2.4, numba": fast_vollib,
    "polars-vol 0.1.1": polars_vol,
    "quantkit-rs 0.2.0": quantkit,
    "pyvolr 0.1.7": pyvolr,
    "vollib 1.0.11, in a loop": vollib,
}


def main() -> None:
    """Print what each takes, and how far it is from ours."""
    pin_to_one_core()
    warnings.simplefilter("ignore")  # of peers, which divide by zero and say so
    quotes = _quotes()
    reference, took = ours(quotes), best(lambda: ours(quotes), ROUNDS) / QUOTES * 1e9
    rows = [["deribit-lake", f"{took:,.1f}", "1", "0"]]
    for name, ns, delta in _peers(quotes):
        off = (delta - reference.head(len(delta))).abs().max()
        rows.append([name, f"{ns:,.1f}", f"{ns / took:,.1f}", f"{off:.0e}"])
    head = ["price and five Greeks from a Polars frame", "ns a row", "times ours", "largest Δ off"]
    show(f"{QUOTES:,} quotes, one core", head, rows)


def _quotes() -> pl.DataFrame:
    market = SETS["mkt"](QUOTES)
    kinds = np.where(market.is_call, "call", "put")
    terms = {name: getattr(market, name) for name in _TERMS}
    return pl.DataFrame(terms | {"option_type": kinds}).with_columns(
        instrument_type=pl.lit("linear")
    )


def _peers(quotes: pl.DataFrame) -> Iterator[tuple[str, float, pl.Series]]:
    """Yield name, time a row [ns] and deltas of each library."""
    for name, way in PEERS.items():
        some = quotes.head(FEW) if way is vollib else quotes
        try:
            delta = way(some)
        except ImportError as error:
            print(f"{name} is left out: {error}")
            continue
        yield name, best(lambda way=way, some=some: way(some), ROUNDS) / some.height * 1e9, delta  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        told, found = Path(folder) / "told.npz", Path(folder) / "found.npz"
        terms = dict(zip(_TERMS, _arrays(quotes), strict=True))
        np.savez(told, flag=_flags(quotes), rate=np.zeros(quotes.height), **terms)
        packages = [word for package in _OLD for word in ("--with", package)]
        command = ["uv", "run", "--no-project", "--quiet", "--python", sys.executable, *packages]
        run = [*command, "python", "-c", _TIMED, told, found, str(ROUNDS)]
        if subprocess.run(run, check=False).returncode:
            print("py_vollib_vectorized was not timed: uv could not make its environment")
            return
        old = np.load(found)
        yield (
            "py_vollib_vectorized 0.1.1",
            float(old["seconds"]) / quotes.height * 1e9,
            pl.Series("delta", old["delta"]),
        )


def _arrays(quotes: pl.DataFrame) -> list[np.ndarray]:
    return [quotes[name].to_numpy() for name in _TERMS]


def _flags(quotes: pl.DataFrame) -> np.ndarray:
    return np.where(quotes.select(_IS_CALL).to_series(), "c", "p")


if __name__ == "__main__":
    main()
