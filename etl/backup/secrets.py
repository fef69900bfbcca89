"""What restic is told by the environment alone: checked before it starts, and never repeated."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from etl.errors import PasswordError, UsageError

PASSWORDS = ("RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD_COMMAND")
KEYS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "b2": ("B2_ACCOUNT_ID", "B2_ACCOUNT_KEY"),
}
OTHER_KEYS = {
    "s3": ("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    "b2": (),
}
"""What else restic takes keys from; without any it asks the cloud's own network, for minutes."""
_SECRET = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|ACCOUNT_ID")
_LOGIN = re.compile(r"//[^/@\s]+@")
SHORTEST = 4  # a secret shorter than this would blacken half of what is said


@dataclass(frozen=True, slots=True)
class Redaction:
    """Blackens secrets in what somebody else wrote."""

    secrets: tuple[str, ...] = field(repr=False)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets, and without the login of an address."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return _LOGIN.sub("//***@", text)


def check_secrets(repository: str, environment: Mapping[str, str]) -> None:
    """Refuse an environment that lacks what restic needs for a repository.

    Raises
    ------
    PasswordError
        If it holds no password, an empty one, or names a file that cannot be read.
    UsageError
        If it lacks the keys of the store.
    """
    if not any(environment.get(name) for name in PASSWORDS):
        message = (
            f"no password for the repository {shown(repository)}: expected it in the environment, "
            f"as {PASSWORDS[0]} or {PASSWORDS[1]}"
        )
        raise PasswordError(message)
    if not environment.get("RESTIC_PASSWORD") and (name := environment.get("RESTIC_PASSWORD_FILE")):
        _check_file(Path(name))
    kind = repository.partition(":")[0]
    lacking = [name for name in KEYS.get(kind, ()) if not environment.get(name)]
    if lacking and not any(environment.get(name) for name in OTHER_KEYS[kind]):
        message = (
            f"no keys for the repository {shown(repository)}: expected {' and '.join(lacking)} "
            "in the environment"
        )
        raise UsageError(message)


def redaction(environment: Mapping[str, str]) -> Redaction:
    """Return what blackens the secrets an environment holds."""
    found = {
        value
        for name, value in environment.items()
        if _SECRET.search(name) and not name.endswith(("_FILE", "_COMMAND", "_HINT"))
    }
    if name := environment.get("RESTIC_PASSWORD_FILE"):
        try:
            found.add(Path(name).read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            found.add(name)  # restic will say why it cannot be read
    return Redaction(tuple(sorted((one for one in found if len(one) >= SHORTEST), key=len)[::-1]))


def shown(repository: str) -> str:
    """Return a repository's address without a login in it."""
    return _LOGIN.sub("//***@", repository)


def _check_file(path: Path) -> None:
    try:
        is_empty = not path.read_bytes().strip()
    except OSError as error:
        message = f"RESTIC_PASSWORD_FILE = {path} cannot be read: {error.strerror}"
        raise PasswordError(message) from error
    if is_empty:
        message = f"RESTIC_PASSWORD_FILE = {path} is empty: expected the repository's password"
        raise PasswordError(message)
