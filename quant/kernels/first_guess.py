"""A first guess of the total standard deviation, good to 2 parts in 10,000 up to 1.5."""

import numpy as np

from quant.kernels.compilation import inlined
from quant.kernels.elementary import SQRT_2PI

_SHIFT = np.uint64(52)
_FRACTION = np.uint64((1 << 52) - 1)
_ROOT_HALF = np.uint64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
_BIAS = np.uint64(1024 << 52)  # keeps what follows positive
_UNIT_BITS = np.uint64(0x433 << 52)  # of 2**52, whose last bit is worth 1
_UNIT_AND_BIAS = 2.0**52 + 1024.0
_LN2 = 0.6931471805599453
_LARGEST_STDEV = 1.8
_LARGEST_MONEYNESS = 2.5

# ln(m) as a polynomial in m - 1, m from sqrt(1/2) to sqrt(2): error 1e-5
_LOG = (
    -5.448530022056366e-06,
    0.9998871200499756,
    -0.49911014817188637,
    0.33800554821133755,
    -0.27407948754149314,
    0.17224558071735918,
)

# Bachelier: stdev = sqrt(2 pi) price + distance * P(x)/Q(x) with
# x = sqrt(1.5 + ln(1 + distance/price)): relative error 2.6e-5 down to prices of e**-750
_P = (
    3.406508710526016,
    -3.477406482280598,
    2.00814767161832,
    -0.648529803851399,
    0.10380564433540214,
    1.35706223465216e-05,
)
_Q = (
    1.0,
    1.6155934740832414,
    -3.4798202972603964,
    2.707086875726686,
    -0.969945577253022,
    0.1483157618021179,
)

# Black-76 stdev / Bachelier stdev: row i are the coefficients of Bachelier stdev**(2 i) in powers
# of log-moneyness squared; minimax fits, relative error 1.5e-4
_C0 = (
    1.0000597658053647,
    -0.041546590729583,
    0.001155775803672583,
    -2.091882492444692e-05,
)
_C1 = (
    0.04062959087511865,
    -0.005668041847841713,
    0.0004949768872346829,
    -2.5611898402761526e-05,
)
_C2 = (
    0.00509274271362758,
    -0.0010010111629331381,
    6.450026274679075e-05,
)


@inlined
def first_guess(time_value, distance, root, moneyness):
    """Total standard deviation of an option that is out of the money, roughly.

    Bachelier's formula is inverted by a rational function of one variable, and a polynomial in
    two takes its answer to Black's.

    Parameters
    ----------
    time_value : float64
        Price of the option that is out of the money [USD].
    distance : float64
        abs(forward - strike) [USD].
    root : float64
        sqrt(forward * strike) [USD].
    moneyness : float64
        abs(ln(forward/strike)) [1].

    Returns
    -------
    float64
        iv * sqrt(tenor) [1]: relative error below 2e-4 for standard deviations to 1.5 and
        log-moneyness to 2.5, of the right order beyond.

    References
    ----------
    J. Choi, K. Kim, M. Kwak, "Numerical approximation of the implied volatility under
    arithmetic Brownian motion", Applied Mathematical Finance 16 (2009), for the idea.
    """
    x = np.sqrt(abs(_rough_log(time_value + distance) - _rough_log(time_value)) + 1.5)
    above = ((((_P[5] * x + _P[4]) * x + _P[3]) * x + _P[2]) * x + _P[1]) * x + _P[0]
    below = ((((_Q[5] * x + _Q[4]) * x + _Q[3]) * x + _Q[2]) * x + _Q[1]) * x + _Q[0]
    bachelier = (time_value * SQRT_2PI * below + distance * above) / (below * root)
    stdev = min(bachelier, _LARGEST_STDEV)
    a = min(moneyness, _LARGEST_MONEYNESS)
    s = stdev * stdev
    a = a * a
    even = ((_C0[3] * a + _C0[2]) * a + _C0[1]) * a + _C0[0]
    once = ((_C1[3] * a + _C1[2]) * a + _C1[1]) * a + _C1[0]
    twice = (_C2[2] * a + _C2[1]) * a + _C2[0]
    return bachelier * ((twice * s + once) * s + even)


@inlined
def first_guess_from_above(gap, forward, strike, moneyness):
    """Total standard deviation of an option worth more than half its maximum, roughly.

    At the money the gap to the maximum is (forward + strike) N(-s/2); the quantile is inverted
    by Abramowitz and Stegun 26.2.23. What moneyness adds is taken to second order.

    Parameters
    ----------
    gap : float64
        Maximum less price [USD].
    forward, strike : float64
        Forward and strike [USD].
    moneyness : float64
        abs(ln(forward/strike)) [1].

    Returns
    -------
    float64
        iv * sqrt(tenor) [1], not below the inflection of the price.
    """
    w = np.sqrt(abs(-2.0 * _rough_log(gap / (forward + strike))))
    above = (0.010328 * w + 0.802853) * w + 2.515517
    below = ((0.001308 * w + 0.189269) * w + 1.432788) * w + 1.0
    s = 2.0 * (w - above / below)
    return max(s - 0.5 * moneyness * moneyness / s, 1.01 * np.sqrt(2.0 * moneyness))


@inlined
def _rough_log(x):
    """ln(x) of a positive normal number, to 1e-5."""
    bits = np.float64(x).view(np.uint64) + (_BIAS - _ROOT_HALF)
    mantissa = np.uint64((bits & _FRACTION) + _ROOT_HALF).view(np.float64)
    whole = np.uint64((bits >> _SHIFT) | _UNIT_BITS).view(np.float64) - _UNIT_AND_BIAS
    m = mantissa - 1.0
    series = (((_LOG[5] * m + _LOG[4]) * m + _LOG[3]) * m + _LOG[2]) * m + _LOG[1]
    return whole * _LN2 + (series * m + _LOG[0])
