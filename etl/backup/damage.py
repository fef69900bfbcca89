"""Which files restic says it could not read or restore: by its messages, else by its words."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from etl.backup.restic import Done

_IN_WORDS = re.compile(r"^(?:ignoring error for|error:?) (?P<path>/.*?): ", re.MULTILINE)


def items(done: Done) -> list[str]:
    """Return the paths restic names as those of errors, in order, none twice.

    Restic 0.18 writes a message for each; 0.14 does so of what it backs up, and tells in words of
    what it restores. Its messages may stand among its words.
    """
    found = [str(one["item"]) for one in done.messages if _is_error(one)]
    found += [str(one["item"]) for one in _in_lines(done.said)]
    found += [match["path"] for match in _IN_WORDS.finditer(done.said)]
    return list(dict.fromkeys(found))


def _in_lines(said: str) -> Iterator[dict[str, object]]:
    for line in said.splitlines():
        if line.startswith("{"):
            try:
                message = msgspec.json.decode(line, type=dict[str, object])
            except msgspec.DecodeError:  # words that begin like a message
                continue
            if _is_error(message):
                yield message


def _is_error(message: Mapping[str, object]) -> bool:
    return message.get("message_type") == "error" and bool(message.get("item"))
