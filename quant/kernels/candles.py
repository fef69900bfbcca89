"""Candles of sorted trades: a loop over rows, each sum in the order of the trades."""

import numpy as np

from quant.kernels.compilation import kernel


@kernel
def candles(  # noqa: PLR0913, PLR0917  (numba takes keyword-only arguments slowly)
    option, minute, price, amount, cost, is_apart, with_apart
):
    """One candle for every run of rows of one option and minute in which a row counts.

    Rows that stand apart are counted apart, whether they make candles or not. Sums are made one
    row after the other, so that they are the same to the bit wherever they are made.

    Parameters
    ----------
    option : int32 array, shape (n,)
        What the rows are of, by any number [1]; equal ones stand together.
    minute : int64 array, shape (n,)
        Minute of each row since 1970 [min]; ascending within an option.
    price, amount, cost : float64 array, shape (n,)
        Price [coin or USD], amount [coin] and their product [coin or USD], in order of the trades.
    is_apart : bool array, shape (n,)
        Whether a row stands apart [1].
    with_apart : bool
        Whether rows that stand apart make candles, too.

    Returns
    -------
    last : int64 array, shape (m,)
        Number of each candle's last row that counts [1].
    opened, highest, lowest : float64 array, shape (m,)
        First, highest and lowest price [coin or USD].
    volume, turnover : float64 array, shape (m,)
        Sums of amounts [coin] and costs [coin or USD].
    trades, apart : int64 array, shape (m,)
        How many rows make the candle, and how many of its run stand apart [1].
    volume_apart : float64 array, shape (m,)
        Sum of the amounts of the latter [coin].
    """
    rows = option.shape[0]
    most = _candles(option, minute, is_apart, with_apart)
    last, trades = np.zeros(most, np.int64), np.zeros(most, np.int64)
    apart, volume_apart = np.zeros(most, np.int64), np.zeros(most)
    opened, highest, lowest = np.zeros(most), np.zeros(most), np.zeros(most)
    volume, turnover = np.zeros(most), np.zeros(most)
    made = 0
    start = 0
    while start < rows:
        this, now, end = option[start], minute[start], start
        count, others, at = 0, 0, 0
        sum_amount, sum_cost, sum_others = 0.0, 0.0, 0.0
        first, high, low = 0.0, 0.0, 0.0
        while end < rows and minute[end] == now and option[end] == this:
            if is_apart[end]:
                sum_others += amount[end]
                others += 1
            if with_apart or not is_apart[end]:
                paid = price[end]
                if count == 0:
                    first, high, low = paid, paid, paid
                elif paid > high:
                    high = paid
                elif paid < low:
                    low = paid
                sum_amount += amount[end]
                sum_cost += cost[end]
                count += 1
                at = end
            end += 1
        if count:
            last[made], opened[made], highest[made], lowest[made] = at, first, high, low
            volume[made], turnover[made], trades[made] = sum_amount, sum_cost, count
            apart[made], volume_apart[made] = others, sum_others
            made += 1
        start = end
    return last, opened, highest, lowest, volume, turnover, trades, apart, volume_apart


@kernel
def _candles(option, minute, is_apart, with_apart):
    """How many candles there will be [1]."""
    made = 0
    is_open = False
    for row in range(option.shape[0]):
        if row == 0 or option[row] != option[row - 1] or minute[row] != minute[row - 1]:
            is_open = False
        if (with_apart or not is_apart[row]) and not is_open:
            made += 1
            is_open = True
    return made
