"""What every kernel does with its arrays: check that they are rows, and share them out."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_ROWS_WORTH_A_THREAD = 16_384


def check_rows(
    numbers: dict[str, Floats], is_call: Bools | None = None, is_coin: Bools | None = None
) -> tuple[Any, ...]:
    """Return contiguous arrays of the same length.

    Parameters
    ----------
    numbers : dict of str to float64 array, shape (n,)
        The columns by name.
    is_call, is_coin : bool array, shape (n,), optional
        More columns.

    Returns
    -------
    tuple of arrays, shape (n,)
        The columns in order; copies only of those that are not contiguous.

    Raises
    ------
    ValueError
        If one is no array of that dtype and dimension, or of another length than the first.
    """
    wanted: list[tuple[str, Any, type]] = [
        (name, column, np.float64) for name, column in numbers.items()
    ]
    flags = {"is_call": is_call, "is_coin": is_coin}
    wanted += [(name, flag, np.bool_) for name, flag in flags.items() if flag is not None]
    first, rows = wanted[0][0], np.shape(wanted[0][1])
    for name, column, dtype in wanted:
        if not isinstance(column, np.ndarray) or column.dtype != dtype or column.ndim != 1:
            message = (
                f"{name}: expected a one-dimensional array of {dtype.__name__}, got {_say(column)}"
            )
            raise ValueError(message)
        if column.shape != rows:
            message = f"{name} has {column.shape[0]} rows, {first} has {rows[0]}"
            raise ValueError(message)
    return tuple(np.ascontiguousarray(column) for _, column, _ in wanted)


def _say(column: object) -> str:
    if isinstance(column, np.ndarray):
        return f"{column.dtype} of shape {column.shape}"
    return type(column).__name__


def check_out(out: Floats, shape: tuple[int, ...]) -> Floats:
    """Return the array results go to.

    Parameters
    ----------
    out : float64 array
        What the caller gave.
    shape : tuple of int
        What it must be.

    Raises
    ------
    ValueError
        If it is of another shape or dtype, or its rows are not contiguous.
    """
    if not isinstance(out, np.ndarray) or out.dtype != np.float64 or out.shape != shape:
        message = f"out: expected float64 of shape {shape}, got {_say(out)}"
        raise ValueError(message)
    if not out.flags.c_contiguous or not out.flags.writeable:
        message = "out: expected a contiguous array that may be written to"
        raise ValueError(message)
    return out


def over_threads(
    kernel: Callable[..., None], arrays: tuple[Any, ...], rows: int, threads: int
) -> None:
    """Run a kernel over slices of arrays, one for each thread.

    Parameters
    ----------
    kernel : callable
        Takes the arrays, writes to the last ones, and lets go of the interpreter's lock.
    arrays : tuple of arrays, last axis of length `rows`
        Inputs, then outputs.
    rows : int
        Length of the arrays.
    threads : int
        Most slices to make; few rows are not worth a thread.

    Raises
    ------
    ValueError
        If `threads` is not positive.
    """
    if threads < 1:
        message = f"threads is {threads}: expected 1 or more"
        raise ValueError(message)
    parts = min(threads, rows // _ROWS_WORTH_A_THREAD)
    if parts < 2:  # noqa: PLR2004  # one slice needs no thread
        kernel(*arrays)
        return
    borders = [rows * part // parts for part in range(parts + 1)]
    slices = [slice(*pair) for pair in itertools.pairwise(borders)]
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(lambda part: kernel(*(each[..., part] for each in arrays)), slices))
