"""Whole numbers as the exchange may write them: 64000, 64000.0 and 6.4e4 are the same.

Deribit writes some numbers in exponent form since 2024-12-03, and whole ones as floats.
"""

from collections.abc import Callable
from math import copysign
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")
EXACT = 2**53  # beyond, a float may stand for several whole numbers
LAST_MS = 253_402_300_799_999  # of the year 9999

Moment = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]
"""A moment [Unix ms] that every column of times can hold."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes of anybody may raise: no JSON, no UTF-8, or nested deeper than a stack."""


def decoder(shape: type[T]) -> Callable[[bytes | msgspec.Raw], T]:
    """Return a decoder of JSON that takes a whole number in any form where an integer is expected.

    A body that is written plainly is decoded once and at full speed; only what does not fit is
    looked at again, number by number.

    Raises
    ------
    msgspec.DecodeError
        Of the decoder: if a body is no JSON, or not of that shape; 1.5 is no integer.
    """
    plain = msgspec.json.Decoder(shape).decode

    def decode(body: bytes | msgspec.Raw) -> T:
        try:
            return plain(body)
        except msgspec.ValidationError as error:
            return msgspec.convert(_whole(_anything(body, error)), shape)

    return decode


def _anything(body: bytes | msgspec.Raw, error: msgspec.ValidationError) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:  # a number too large for any: the first error names its member
        raise error from None


def _whole(value: Any) -> Any:
    """Return a decoded body with its whole floats as integers; the sign of -0.0 would be lost."""
    if type(value) is float:
        is_whole = value.is_integer() and abs(value) <= EXACT
        return int(value) if is_whole and (value or copysign(1.0, value) > 0) else value
    if type(value) is list:
        return [_whole(one) for one in value]
    if type(value) is dict:
        return {name: _whole(one) for name, one in value.items()}
    return value
