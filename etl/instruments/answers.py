"""Lists of instruments as they came: the one check of an answer, the one decoder of a record.

A record that cannot be used is set aside by itself, with its name and the reason: it never takes
the others of its list with it, neither when the list is fetched nor when it is read back.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from etl.deribit.numbers import decoder
from etl.instruments.record import Instrument

NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
SHOWN = 40  # characters of a record that has no name


@dataclass(frozen=True, slots=True)
class Odd:
    """A record that cannot be used: what it calls itself, else how it begins, and why."""

    name: str
    reason: str


class _Envelope(msgspec.Struct):
    result: list[msgspec.Raw]


class _Named(msgspec.Struct):
    instrument_name: str


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_result = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_named = msgspec.json.Decoder(_Named).decode
decode = decoder(Instrument)


def check(result: msgspec.Raw) -> None:
    """Raise msgspec.ValidationError where a result is no list; its records are not judged."""
    _decode_result(result)


def check_filled(result: msgspec.Raw) -> None:
    """Raise msgspec.ValidationError where no record of a list can be used.

    There always are living futures: a server that lists none lies.
    """
    odd = None
    for _, found in read_records(_decode_result(result)):
        if isinstance(found, Instrument):
            return
        odd = odd or found
    message = "an empty list of instruments"
    if odd is not None:
        message = f"no instrument of the list can be used, as {odd.name}: {odd.reason}"
    raise msgspec.ValidationError(message)


def read_answer(body: bytes) -> Iterator[tuple[bytes, Instrument | Odd]]:
    """Yield the records of an answer as they were sent, each with what it says or what is odd."""
    try:
        records = _decode_envelope(body).result
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        yield b"", Odd("an answer", f"it has no list of instruments: {error}")
        return
    yield from read_records(records)


def read_records(records: Iterable[msgspec.Raw]) -> Iterator[tuple[bytes, Instrument | Odd]]:
    """Yield records as they were sent, each with what it says or what is odd about it."""
    for one in records:
        record = bytes(one)
        yield record, read_one(record)


def read_one(record: bytes) -> Instrument | Odd:
    """Return what a record says, or why it cannot be used."""
    try:
        text = record.decode()
        found = decode(record)
        if "\\u" in text:
            msgspec.json.decode(record)  # an escape that means nothing stops whoever reads it
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Odd(_name(record), _reason(error))
    if "\\u0000" in text and NUL.search(text):
        return Odd(found.instrument_name, "a member has a NUL, which no database takes")
    end_ms = found.expiration_timestamp
    if end_ms is not None and end_ms < found.creation_timestamp:
        return Odd(found.instrument_name, f"it expires ({end_ms}) before it is listed")
    return found


def _name(record: bytes) -> str:
    try:
        return _decode_named(record).instrument_name
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = record.decode(errors="replace")
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _reason(error: Exception) -> str:
    """Return a reason that begins with the member at fault."""
    found = re.fullmatch(r"(?s)(.*?) - at `\$\.?(.*)`", str(error))
    return f"{found[2]}: {found[1]}" if found and found[2] else str(error)
