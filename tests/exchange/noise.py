"""Noise without state: pure functions of (key, counter), the same bits on every machine.

numpy's generators are streams (entry n needs entry n - 1), ``hash()`` is salted, and ``exp``
differs in the last bit from one processor to the next. Integer arithmetic and the four exact
operations of IEEE 754 do not, so everything here is built from them.
"""

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Floats = NDArray[np.float64]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_HALVINGS = 8


def mix(x: Bits) -> Bits:
    """Scramble 64-bit integers so that neighbours become unrelated.

    References
    ----------
    G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014
    (the finaliser of splitmix64).
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_MULTIPLIERS[0])
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_MULTIPLIERS[1])
    return x ^ (x >> np.uint64(31))


def mix_of(text: bytes) -> int:
    """Return 32 bits of a text, so that texts have an order that nobody chose."""
    return zlib.crc32(text)


@lru_cache(maxsize=1_024)
def key(seed: int, *names: str) -> np.uint64:
    """Return the key of a noise channel, from a seed and what the channel is called."""
    word = zlib.crc32("/".join(names).encode())
    start = np.array([(seed * _GOLDEN + word) & _MASK], dtype=np.uint64)
    return np.uint64(mix(mix(start) ^ np.uint64(word))[0])


def bits(channel: np.uint64, counter: Bits) -> Bits:
    """Return 64 random bits for each counter."""
    return mix(counter * np.uint64(_GOLDEN) + channel)


def bits_of(channel: int, counter: int) -> int:
    """Return the 64 random bits of one counter, those that `bits` gives."""
    x = (counter * _GOLDEN + channel) & _MASK
    x = ((x ^ (x >> 30)) * _MULTIPLIERS[0]) & _MASK
    x = ((x ^ (x >> 27)) * _MULTIPLIERS[1]) & _MASK
    return x ^ (x >> 31)


def lane(word: Bits, index: int) -> NDArray[np.int64]:
    """Return 16-bit lane `index` (0 to 3) of each word, in [0, 65536)."""
    return ((word >> np.uint64(16 * index)) & np.uint64(0xFFFF)).view(np.int64)


def uniform(channel: np.uint64, counter: Bits) -> Floats:
    """Return a number in [0, 1) for each counter."""
    return (bits(channel, counter) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(channel: np.uint64, counter: Bits) -> Floats:
    """Return a nearly normal number for each counter: mean 0, deviation 1, within 3.5."""
    word = bits(channel, counter)
    total = lane(word, 0) + lane(word, 1) + lane(word, 2) + lane(word, 3)
    return np.asarray((total - 131_070) / 37_837.2, dtype=np.float64)


def normal_of_lanes(word: Bits) -> Floats:
    """Return a nearly normal number from lanes 0 to 2 of each word, leaving lane 3 free."""
    total = lane(word, 0) + lane(word, 1) + lane(word, 2)
    return np.asarray((total - 98_302.5) / 32_768.0, dtype=np.float64)


def exponential_of(x: float) -> float:
    """Return e**x of one number, the same bits as `exponential` gives."""
    y = x * 2.0**-_HALVINGS
    even, odd = 1.0 + y * y / 12.0, y * 0.5
    result = (even + odd) / (even - odd)
    for _ in range(_HALVINGS):
        result = result * result
    return result


def exponential(x: Floats) -> Floats:
    """Return e**x to 1e-7 relative for |x| < 12, from exactly rounded operations only."""
    y: Floats = x * 2.0**-_HALVINGS
    even, odd = 1.0 + y * y / 12.0, y * 0.5
    result: Floats = (even + odd) / (even - odd)
    for _ in range(_HALVINGS):
        result = result * result
    return result
