"""What became of a row whose implied volatility was asked for."""

import numpy as np

OK = np.uint8(0)
BELOW_INTRINSIC = np.uint8(1)
"""The price is negative or below the intrinsic value."""
ABOVE_MAXIMUM = np.uint8(2)
"""The price is not below the forward (call) or the strike (put)."""
ZERO_TIME_VALUE = np.uint8(3)
"""The price is the intrinsic value: every volatility small enough explains it."""
EXPIRED = np.uint8(4)
"""The tenor is zero or negative."""
BAD_INPUT = np.uint8(5)
"""Not a number, infinite, or a forward or strike that is not positive."""

NAMES = ("ok", "below_intrinsic", "above_maximum", "zero_time_value", "expired", "bad_input")
"""The codes in words: `NAMES[code]`."""
