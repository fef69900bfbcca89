"""Elementary functions written so that loops over them vectorise: exp, log of a ratio, Mills.

Numba has no vectorised `exp`, `log` or `erfc` of its own any more, and calls of the C library
stop a loop from being vectorised. Each function here is arithmetic on doubles and their bits.
Errors are stated in units of 2**-52 of the result and hold with and without fused
multiply-add; `tests/quant/kernels/test_elementary.py` checks them against 50 digits.
"""

import numpy as np

from quant.kernels.compilation import inlined

INV_SQRT_2PI = 0.3989422804014327
SQRT_2PI = 2.5066282746310002

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 33 bits, so that a multiple of it is exact
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
_FRACTION_BITS = np.int64(52)
_SHIFT = np.uint64(52)
_HALF_AND_BIAS = np.uint64((1 << 63) + (1 << 51))
_SIGN = np.uint64(1 << 63)
_EXPONENT = np.uint64(0xFFF << 52)
_UNIT_BITS = np.uint64(0x433 << 52)  # of 2**52, whose last bit is worth 1
_UNIT_AND_BIAS = 2.0**52 + 2048.0
_SMALLEST_EXPONENT = -708.0

# exp(r) on |r| <= ln(2)/2: Chebyshev, error 2e-17
_EXP = (
    1.0,
    1.0,
    0.5000000000000019,
    0.16666666666666702,
    0.04166666666648794,
    0.008333333333309507,
    0.0013888888952356135,
    0.00019841269909260645,
    2.480148543844738e-05,
    2.755722491836887e-06,
    2.763265575933203e-07,
    2.5114882786996687e-08,
)

# (2 atanh(s) - 2 s) / s**3 as a polynomial in s**2, |s| <= 0.24: Chebyshev, error 1.5e-17
_ATANH = (
    0.6666666666666662,
    0.40000000000108094,
    0.2857142853219718,
    0.22222227638472222,
    0.18181451845602203,
    0.15398014919556516,
    0.13064054433847555,
    0.14524448776432256,
)

# ((z + 5) Y(z) - 1 - 5 w/8) / w**2 as a polynomial in 1 - w, w = 8/(z + 5), for z
# from -1 to infinity: Chebyshev, 2.4e-16. The first terms at infinity are taken out because the
# terms of what is left cancel each other less.
_MILLS = (
    0.8117223896808263,
    -0.8334954786176836,
    0.6718484453087465,
    -0.41073132430643666,
    0.1728617197886086,
    -0.033486761846285164,
    -0.011312351411674994,
    0.00924682100168521,
    -0.0006305377563193818,
    -0.0015288757989257325,
    0.0003603473508690164,
    0.000263775681024283,
    -8.985115536179602e-05,
    -5.472307358819408e-05,
    1.8537689566774096e-05,
    1.3489792793655513e-05,
    -3.0920090237518608e-06,
    -3.5434834417726253e-06,
    2.600617224084694e-07,
    8.571209274895421e-07,
    6.445728245326918e-08,
    -1.579597916149861e-07,
    -3.0472777604771614e-08,
    1.5637874984187702e-08,
    4.319382763455982e-09,
)


@inlined
def exp(x):
    """Exponential function.

    Parameters
    ----------
    x : float64
        Argument, at most 709 [1].

    Returns
    -------
    float64
        e**x [1], within 1.1 units; 0 where the result is below 3e-308.
    """
    shifted = x * _LOG2_E + _ROUND
    power = np.float64(shifted).view(np.int64)
    whole = shifted - _ROUND
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    series = (((_EXP[11] * r + _EXP[10]) * r + _EXP[9]) * r + _EXP[8]) * r + _EXP[7]
    series = (((series * r + _EXP[6]) * r + _EXP[5]) * r + _EXP[4]) * r + _EXP[3]
    series = ((series * r + _EXP[2]) * r + _EXP[1]) * r + _EXP[0]
    scaled = np.float64(series).view(np.int64) + (power << _FRACTION_BITS)
    return np.int64(scaled).view(np.float64) if x > _SMALLEST_EXPONENT else 0.0


@inlined
def log_ratio(numerator, denominator):
    """Natural logarithm of a quotient, to full relative accuracy where the quotient is near 1.

    A power of two brings the denominator next to the numerator, the difference of the two is
    then exact (Sterbenz), and ln(n/d) = 2 atanh((n - d)/(n + d)) needs no rounded quotient.

    Parameters
    ----------
    numerator, denominator : float64
        Positive normal numbers, below 8e307 [same unit].

    Returns
    -------
    float64
        ln(numerator/denominator) [1], within 1.6 units.
    """
    bits = np.float64(denominator).view(np.uint64)
    # unsigned and biased: AVX2 has neither the signed shift nor a conversion of integers
    apart = np.float64(numerator).view(np.uint64) - bits + _HALF_AND_BIAS
    near = np.uint64(bits + ((apart & _EXPONENT) ^ _SIGN)).view(np.float64)
    whole = np.uint64((apart >> _SHIFT) | _UNIT_BITS).view(np.float64) - _UNIT_AND_BIAS
    s = (numerator - near) / (numerator + near)
    return whole * _LN2_HIGH + (2.0 * s + (_atanh_tail(s) + whole * _LN2_LOW))


@inlined
def _atanh_tail(s):
    """2 atanh(s) - 2 s."""
    w = s * s
    series = (((_ATANH[7] * w + _ATANH[6]) * w + _ATANH[5]) * w + _ATANH[4]) * w + _ATANH[3]
    series = ((series * w + _ATANH[2]) * w + _ATANH[1]) * w + _ATANH[0]
    return s * w * series


@inlined
def mills(z):
    """Mills ratio of the normal distribution, Y(z) = N(-z) / phi(z).

    Parameters
    ----------
    z : float64
        At least -1 [standard deviations].

    Returns
    -------
    float64
        sqrt(pi/2) exp(z**2/2) erfc(z/sqrt(2)) [1], within 4 units.

    References
    ----------
    M. Shepherd and J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x**2) erfc x",
    Math. Comp. 36 (1981), for the idea of the variable; the coefficients are our own.
    """
    return _mills_series(1.0 / (z + 5.0))


@inlined
def mills_pair(z1, z2):
    """Mills ratios of two numbers at the price of one division.

    Parameters
    ----------
    z1, z2 : float64
        At least -1 [standard deviations], their product below 1e300.

    Returns
    -------
    tuple of two float64
        Y(z1) and Y(z2) [1], within 7 units.
    """
    a, b = z1 + 5.0, z2 + 5.0
    inverse = 1.0 / (a * b)
    return _mills_series(inverse * b), _mills_series(inverse * a)


@inlined
def _mills_series(inverse):
    w = 8.0 * inverse
    x = 1.0 - w
    q = x * x
    # two chains at a time wait half as long for each other
    even = ((_MILLS[24] * q + _MILLS[22]) * q + _MILLS[20]) * q + _MILLS[18]
    even = ((even * q + _MILLS[16]) * q + _MILLS[14]) * q + _MILLS[12]
    even = ((even * q + _MILLS[10]) * q + _MILLS[8]) * q + _MILLS[6]
    even = ((even * q + _MILLS[4]) * q + _MILLS[2]) * q + _MILLS[0]
    odd = ((_MILLS[23] * q + _MILLS[21]) * q + _MILLS[19]) * q + _MILLS[17]
    odd = ((odd * q + _MILLS[15]) * q + _MILLS[13]) * q + _MILLS[11]
    odd = ((odd * q + _MILLS[9]) * q + _MILLS[7]) * q + _MILLS[5]
    odd = (odd * q + _MILLS[3]) * q + _MILLS[1]
    return ((even + odd * x) * w + 0.625) * (w * inverse) + inverse
