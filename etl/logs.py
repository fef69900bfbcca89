"""Logs: one rotating file shared by every process of a run, and plain lines on the console.

A logging call only puts its record on a queue, so no worker ever waits for the disk; one thread
per process writes. Processes share the file through a lock, so that none loses a line when
another rotates it.
"""

import json
import logging
import queue
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path

from concurrent_log_handler import ConcurrentRotatingFileHandler

FILE_BYTES = 10 * 1024 * 1024
BACKUPS = 5
FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
OURS = ("cli", "etl", "lake", "quant", "validators")
"""Packages whose messages are kept at every level; of others, only warnings and worse."""


def event(name: str, **fields: object) -> dict[str, object]:
    """Return what makes a log line an event with fields: ``log.info("…", extra=event("up"))``."""
    return {"event": name, "fields": fields}


@contextmanager
def logging_to(
    log_dir: Path,
    *,
    level: int = logging.INFO,
    console: bool | None = None,
    events: str | None = None,
) -> Iterator[Path]:
    """Write what is logged to `log_dir/app.log` until the block ends, and lose nothing.

    A worker process joins by entering the same context; all share one file.

    Parameters
    ----------
    log_dir : Path
        Folder of `app.log` and its backups `app.log.1` (newest) to `app.log.5`.
    level : int
        Least level that is written to the file.
    console : bool, optional
        Whether lines from INFO on also go to stderr; by default where stderr is no terminal, for
        on a terminal the progress bars say it. Notices (records whose `is_notice` is true) go there
        in any case.
    events : str, optional
        Name of a file beside it that has the same lines for machines: one JSON object a line with
        `time`, `level`, `logger`, `event` (``log`` where a line is no `event`), `message` and
        `fields`. Rotated likewise.

    Yields
    ------
    Path
        The log file.
    """
    path = log_dir / "app.log"
    log_dir.mkdir(parents=True, exist_ok=True)
    handlers = [_file(path, _UtcFormatter(FORMAT))]
    if events is not None:
        handlers.append(_file(log_dir / events, _JsonFormatter()))
    is_told = console if console is not None else not sys.stderr.isatty()
    handlers.append(_console() if is_told else _Notices())
    with _queued(handlers, level=level):
        yield path


@contextmanager
def _queued(handlers: list[logging.Handler], *, level: int) -> Iterator[None]:
    """Feed handlers through a queue; at the end, wait until it is empty and close them."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    feeder = QueueHandler(records)
    feeder.addFilter(_is_worth_keeping)
    listener = QueueListener(records, *handlers, respect_handler_level=True)
    root = logging.getLogger()
    inherited = [handler for handler in root.handlers if isinstance(handler, QueueHandler)]
    before = root.level
    for stale in inherited:  # a forked worker has its parent's, whose thread it has not
        root.removeHandler(stale)
    root.addHandler(feeder)
    root.setLevel(level)
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(feeder)
        root.setLevel(before)
        listener.stop()
        for handler in handlers:
            handler.close()
        for stale in inherited:
            root.addHandler(stale)


def _is_worth_keeping(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in OURS


def _file(path: Path, formatter: logging.Formatter) -> logging.Handler:
    handler = _LogFile(path, maxBytes=FILE_BYTES, backupCount=BACKUPS, encoding="utf-8")
    handler.setFormatter(formatter)
    return handler


def _console() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.INFO)
    handler.setFormatter(_UtcFormatter(FORMAT))
    return handler


class _Notices(logging.Handler):
    """Writes notices to stderr, above the progress bars, which stand for it by then."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let notices through."""
        return getattr(record, "is_notice", False)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        sys.stderr.write(f"{self.format(record)}\n")


class _UtcFormatter(logging.Formatter):
    """Times as 2025-10-18T07:03:11.042Z."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


class _JsonFormatter(_UtcFormatter):
    """One JSON object a line; a traceback is part of `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        told = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "event": getattr(record, "event", "log"),
            "message": record.getMessage(),
            "fields": getattr(record, "fields", {}),
        }
        return json.dumps(told, ensure_ascii=False, default=str)


class _LogFile(ConcurrentRotatingFileHandler):
    """The shared file; when it cannot be written (a full disk), say so once, in one line."""

    has_complained = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  logging's name
        """Say once that lines are being lost."""
        if not self.has_complained:
            self.has_complained = True
            sys.stderr.write(f"log lines are lost: {self.baseFilename}: {sys.exc_info()[1]}\n")
