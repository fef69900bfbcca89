"""Implied volatility as on a machine with AVX2 and no AVX-512: ``just bench quant_avx2``.

The peers beside it run as they are built, lbriv for any x86-64.
"""

import sys
import warnings

from numba.core import config

from benchmarks.machine import show
from benchmarks.quant import SOLVER_HEAD, solver_rows, solver_sets


def main() -> None:
    """Print the tables of solvers."""
    if config.CPU_NAME is None:
        sys.exit("NUMBA_CPU_NAME is not set: run just bench quant_avx2")
    warnings.simplefilter("ignore")  # of peers, which divide by zero and say so
    for name, make in solver_sets().items():
        title = f"Implied volatility, {name}, code for {config.CPU_NAME}"
        show(title, SOLVER_HEAD, solver_rows(make))


if __name__ == "__main__":
    main()
