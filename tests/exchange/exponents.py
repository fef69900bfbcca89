"""Bodies with every number in exponent form, which Deribit may use since 2024-12-03: 6.4e+4."""

import re
from decimal import Decimal

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*')  # a text, or a number outside of one


def in_exponent_form(body: bytes) -> bytes:
    """Return a body of JSON that says the same, with an exponent in every number."""
    return _TOKENS.sub(_written, body)


def _written(token: re.Match[bytes]) -> bytes:
    if token[0].startswith(b'"'):
        return token[0]
    return f"{Decimal(token[0].decode()):e}".encode()
