"""Server frames by hand: many are rendered once, shared, and written together."""

import orjson

_TEXT = b"\x81"
_SHORT, _MEDIUM = 126, 1 << 16


def frame(payload: bytes) -> bytes:
    """Return a text frame, neither masked nor compressed (RFC 6455, 5.2)."""
    size = len(payload)
    if size < _SHORT:
        return b"%b%c%b" % (_TEXT, size, payload)
    if size < _MEDIUM:
        return b"%b~%b%b" % (_TEXT, size.to_bytes(2, "big"), payload)
    return b"%b\x7f%b%b" % (_TEXT, size.to_bytes(8, "big"), payload)


def notifications(channel: str, data: list[bytes]) -> list[bytes]:
    """Return the messages that bring some data on a channel."""
    head = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":%b,"data":' % (
        orjson.dumps(channel)
    )
    return [b"%b%b}}" % (head, each) for each in data]
