"""Rates between the tenors of a curve, a curve for each row."""

import numpy as np

from quant.kernels.compilation import kernel


@kernel
def rates_between(tenor, tenors, curves, rows, out):
    """Write the rate of each row at its tenor: linear between tenors that have one, flat outside.

    Parameters
    ----------
    tenor : float64 array, shape (n,)
        Time for which a rate is asked [yr].
    tenors : float64 array, shape (k,)
        Tenors of the curves, ascending [yr].
    curves : float64 array, shape (d, k)
        Rates, NaN where a curve has none [1/yr].
    rows : int64 array, shape (n,)
        Which curve holds for each row, -1 for none.
    out : float64 array, shape (n,)
        The rates [1/yr]; NaN where there is no curve, or it has no rate, or no tenor is asked.
    """
    for i in range(tenor.shape[0]):
        out[i] = np.nan
        if rows[i] < 0 or np.isnan(tenor[i]):
            continue
        before = -1
        for j in range(tenors.shape[0]):
            rate = curves[rows[i], j]
            if np.isnan(rate):
                continue
            if tenor[i] <= tenors[j]:
                out[i] = rate
                if before >= 0:
                    known = curves[rows[i], before]
                    share = (tenor[i] - tenors[before]) / (tenors[j] - tenors[before])
                    out[i] = known + share * (rate - known)
                break
            before = j
            out[i] = rate
