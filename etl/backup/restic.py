"""Restic as a process: what it is told, what it says, and how it ends.

Secrets reach it by the environment, the repository's address too (it may hold a login), and what
it says passes through a redaction before anybody reads it. It dies with the process that started
it: one that goes on alone would back up what is taken down behind it.
"""

import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from etl.backup.refusal import refusal
from etl.backup.secrets import Redaction, check_secrets, redaction, shown
from etl.config import Backup
from etl.errors import BackupError, UsageError

PROGRAM = "restic"
DONE, FAILED, UNREADABLE = 0, 1, 3
_STOP_SECONDS = 0.4  # a command has 0.7 s to end after Ctrl-C
_POLL_SECONDS = 0.5
_PROGRESS = ("bytes_done", "files_done", "total_files", "total_bytes")
_OURS = ("RESTIC_REPOSITORY", "RESTIC_REPOSITORY_FILE", "RESTIC_PROGRESS_FPS")

Message = Mapping[str, Any]
"""One line that restic writes for machines, decoded; fields nobody knows are left alone."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a call ended: exit code, what it wrote for machines, what it said."""

    code: int
    messages: Sequence[Message]
    said: str


@dataclass(frozen=True, slots=True)
class Restic:
    """Restic on one repository."""

    program: str
    repository: str
    environment: Mapping[str, str] = field(repr=False)
    redact: Redaction = field(repr=False)
    limits: tuple[str, ...] = ()

    def call(
        self,
        *words: str,
        folder: Path | None = None,
        accept: Sequence[int] = (DONE,),
        stall_seconds: float | None = None,
        held: IO[Any] | None = None,
    ) -> Done:
        """Run one command and return how it ended.

        Parameters
        ----------
        words
            The command and its options; none may be a secret.
        folder
            Where it runs: what it backs up is named relative to it.
        accept
            Exit codes that are no refusal.
        stall_seconds
            Ends it when it makes no progress for so long [s]; None: it may take any time.
        held
            A lock it holds, too, until it ends.

        Raises
        ------
        BackupError
            If it refuses, or stalls.
        """
        with tempfile.TemporaryFile() as errors:
            command = [*_dying_with_us(), self.program, "--json", *self.limits, *words]
            process = subprocess.Popen(  # noqa: S603  the words are ours
                command,
                cwd=folder,
                env={**self.environment, "RESTIC_PROGRESS_FPS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=() if held is None else (held.fileno(),),
            )
            with ending(process), _watched(process, stall_seconds) as watch:
                messages = list(_messages(process, watch))
            errors.seek(0)
            said = self.redact(errors.read().decode(errors="replace")).strip()
        if watch.has_stalled:
            minutes = (stall_seconds or 0) / 60
            message = (
                f"{shown(self.repository)} made no progress in {minutes:g} minutes: "
                f"given up; what was sent is used by the next run ({said[-200:] or 'no reason'})"
            )
            raise BackupError(message)
        if process.returncode not in accept:
            told = "\n".join([said, *_told(messages)])
            raise refusal(process.returncode, self.redact(told), shown(self.repository))
        return Done(process.returncode, messages, said)


def restic_of(backup: Backup, environment: Mapping[str, str]) -> Restic:
    """Return restic for the repository of the settings.

    Raises
    ------
    UsageError
        If no repository is set, or the environment lacks the keys of its store.
    PasswordError
        If the environment holds no password.
    BackupError
        If restic is not installed.
    """
    if backup.repository is None:
        message = (
            "no repository for backups: set backup.repository (DERIBIT_LAKE_BACKUP__REPOSITORY) "
            "to a folder, s3:https://HOST/BUCKET or b2:BUCKET:PATH"
        )
        raise UsageError(message)
    program = shutil.which(PROGRAM, path=environment.get("PATH"))
    if program is None:
        message = "restic is not installed: `apt-get install restic` brings it (0.14 or later)"
        raise BackupError(message)
    check_secrets(backup.repository, environment)
    limits = {"--limit-upload": backup.upload_kib, "--limit-download": backup.download_kib}
    kept = {name: value for name, value in environment.items() if name not in _OURS}
    return Restic(
        program,
        backup.repository,
        {**kept, "RESTIC_REPOSITORY": _address(backup.repository)},
        redaction(environment),
        tuple(f"{name}={value}" for name, value in limits.items() if value),
    )


@dataclass(slots=True)
class Watch:
    """Sees whether a process gets on: what it last said of its progress, and when [s]."""

    since: float = field(default_factory=time.monotonic)
    seen: object = None
    has_stalled: bool = False
    has_ended: bool = False

    def look(self, progress: object) -> None:
        """Take what it says of its progress now."""
        if progress != self.seen:
            self.seen, self.since = progress, time.monotonic()


def _address(repository: str) -> str:
    """Return a repository's address for a process in another folder."""
    has_scheme = ":" in repository.partition("/")[0]
    return repository if has_scheme else str(Path(repository).expanduser().absolute())


def _messages(process: subprocess.Popen[bytes], watch: Watch) -> Iterator[Message]:
    """Yield what a process writes for machines, its progress apart."""
    assert process.stdout is not None  # noqa: S101  it was opened with a pipe
    for line in process.stdout:
        for message in _decoded(line):
            if message.get("message_type") == "status":
                watch.look(tuple(message.get(name) for name in _PROGRESS))
            else:
                yield message


def _decoded(line: bytes) -> list[Message]:
    """Return the messages of a line: one, several in a list, or none where it is for people."""
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return []
    several = found if isinstance(found, list) else [found]
    return [one for one in several if isinstance(one, dict)]


def _told(messages: Sequence[Message]) -> list[str]:
    """Return what messages for machines say went wrong, in restic's words."""
    told = [one.get("message") for one in messages if one.get("message_type") == "exit_error"]
    errors = (one.get("error") for one in messages if one.get("message_type") == "error")
    said = [one.get("message") for one in errors if isinstance(one, dict)]
    return [str(one).strip() for one in (*said, *told) if one]


@contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """See to it that a process has ended when the block does: asked first, then killed."""
    try:
        yield
        process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)  # restic takes its lock away
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        raise
    finally:
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def _watched(process: subprocess.Popen[bytes], seconds: float | None) -> Iterator[Watch]:
    """End a process that makes no progress for some time [s]; None: never."""
    watch = Watch()
    if seconds is None:
        yield watch
        return
    thread = threading.Thread(target=_end_stalled, args=(process, watch, seconds), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.has_ended = True
        thread.join()


def _end_stalled(process: subprocess.Popen[bytes], watch: Watch, seconds: float) -> None:
    while not watch.has_ended and process.poll() is None:
        if time.monotonic() - watch.since > seconds:
            watch.has_stalled = True
            process.kill()
            return
        time.sleep(min(_POLL_SECONDS, seconds))


def _dying_with_us() -> list[str]:
    """Return what a command begins with that is to be killed when this thread's process ends."""
    found = shutil.which("setpriv")  # of util-linux, which every Debian has
    return [] if found is None else [found, "--pdeathsig", "KILL", "--"]
