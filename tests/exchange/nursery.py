"""A process that has everything imported and the paths made: an exchange is a fork of it.

Such a one is there in some ten milliseconds, where ``python -m tests.exchange`` takes more than a
second, and four where it lists options. It is otherwise the same command.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.exchange.__main__ import main as serve
from tests.exchange.instruments import PERPETUALS
from tests.exchange.market import funding
from tests.exchange.option_market.chain import chain
from tests.exchange.option_market.families import FAMILIES

_ROOT = Path(__file__).parents[2]
_SEED = 7  # that of nearly every test
_MOST_BYTES = 1 << 16


def born(words: Sequence[str], *, lists_options: bool) -> tuple[int, int]:
    """Begin an exchange that is told some words; return its process and where it says things."""
    reader, writer = os.pipe()
    try:
        line, _ = _nursery()
        asked = json.dumps({"words": list(words), "lists_options": lists_options}).encode()
        socket.send_fds(line, [asked], [writer])
        return int(line.recv(_MOST_BYTES)), reader
    finally:
        os.close(writer)


@cache
def _nursery() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Return the line to a process of ours that ends as soon as we have, and the process."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.exchange.nursery", str(theirs.fileno())]
        process = subprocess.Popen(command, cwd=_ROOT, pass_fds=[theirs.fileno()])
    return ours, process


def main() -> None:
    """Fork whenever it is asked for, until nobody is there to ask."""
    line = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    _prepare_perpetuals()
    while True:
        asked, writers, _, _ = socket.recv_fds(line, _MOST_BYTES, 1)
        if not asked:
            return
        told = json.loads(asked)
        if told["lists_options"]:
            _prepare_options()
        child = os.fork()
        if not child:
            os.dup2(writers[0], 1)
            _serve(told["words"], line)
            return
        os.close(writers[0])
        line.send(str(child).encode())


def _serve(words: list[str], line: socket.socket) -> None:
    line.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.argv = ["tests.exchange", *words]
    serve()


def _prepare_perpetuals() -> None:
    for instrument in PERPETUALS:
        funding(_SEED, instrument.name)
    gc.freeze()  # what a collection visits it writes to, and what was shared is copied


@cache
def _prepare_options() -> None:
    for family in FAMILIES:
        _ = chain(_SEED, family.name).names
    gc.freeze()


if __name__ == "__main__":
    main()
