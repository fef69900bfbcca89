"""What a command prints comes out whole, or the command says that it did not.

The interpreter writes what is left at its very end, when nobody can answer for it any more, and
typer takes a closed pipe anywhere in the program for one on stdout. So stdout gets errors of its
own, and is flushed while `cli.main` can still turn them into an exit code.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etl.errors import StdoutClosedError, StdoutError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Raw(io.FileIO):
    """A file whose errors say whose they are."""

    def write(self, data: "ReadableBuffer", /) -> int | None:  # type: ignore[override]
        """Write, and return how many bytes went out."""
        try:
            return super().write(data)
        except BrokenPipeError as error:
            message = "whoever read stdout is gone"
            raise StdoutClosedError(message) from error
        except OSError as error:
            message = f"cannot write to stdout: {error.strerror or error}"
            raise StdoutError(message) from error


@contextmanager
def printing() -> Iterator[None]:
    """Let errors on stdout be ours, all that is printed come out, and nothing after an error.

    Raises
    ------
    StdoutClosedError
        If nobody reads stdout any more.
    StdoutError
        If it cannot be written for another reason.
    """
    if sys.stdout is None:  # closed by whoever started us: nothing is to be printed
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  until the end
    own = sys.stdout is sys.__stdout__
    if own and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _guarded(sys.stdout)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except StdoutError:
        _discard()
        raise


def _guarded(stdout: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a stream to the same place; what is no UTF-8 in a path comes out as it is there."""
    raw = _Raw(stdout.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stdout.encoding,
        errors="surrogateescape" if stdout.errors == "strict" else stdout.errors,
        line_buffering=stdout.line_buffering,
    )


def _discard() -> None:
    """Let what is still to be written go nowhere, so that it fails no more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
