"""What doctor looks at: an installation by its settings and environment, at one moment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from etl.check.doctor.secrets import censored, is_dsn, secrets_of

if TYPE_CHECKING:
    from pathlib import Path

    from etl.check.doctor.origins import Sources
    from etl.check.doctor.store_heard import StoreHeard
    from etl.config import Settings
    from lake.paths import Lake

Heard = tuple[Literal["fresh", "alarm", "silent"], str]
"""How a collector is, by its own page, and what the page said."""


@dataclass(frozen=True)
class Situation:
    """An installation at one moment.

    Attributes
    ----------
    given
        What can be used of the settings; None where none can be read.
    ask_collector
        Asks the collector's page how it is.
    refusal
        Says why `sync` refuses what [keep] says; nothing where it does not.
    is_offline
        Whether nothing beyond this machine is asked.
    is_deep
        Whether every byte of the lake is read.
    """

    given: "Settings | None"
    sources: "Sources | None"
    environment: Mapping[str, str]
    now_ms: int
    ask_collector: "Callable[[Settings], Heard]"
    refusal: "Callable[[Settings], str]"
    is_offline: bool = False
    is_deep: bool = False
    why_not: str = field(default="", kw_only=True)

    @property
    def settings(self) -> "Settings":
        """The settings; ask only where there are some."""
        if self.given is None:
            message = f"no settings can be read: {self.why_not}"
            raise ValueError(message)
        return self.given

    @cached_property
    def lake(self) -> "Lake":
        """The lake, be it there or not."""
        from lake.paths import Lake  # noqa: PLC0415  (pyarrow may be what is missing)

        return Lake(self.settings.place)

    @property
    def is_in_bucket(self) -> bool:
        """Whether the lake is to lie in a bucket, and not on a disk."""
        return isinstance(self.settings.root, str)

    @property
    def here(self) -> "Path":
        """The folder of this machine for the lake: the lake itself, if it is on a disk."""
        root = self.settings.root
        return self.lake.here if isinstance(root, str) else root.absolute()

    @cached_property
    def store_heard(self) -> "StoreHeard | None":
        """What the store of a lake in a bucket answered; None of a lake on a disk."""
        from etl.check.doctor.store_heard import hear  # noqa: PLC0415  (httpx may be missing)
        from lake.store.place import ObjectPlace  # noqa: PLC0415

        root = self.lake.root
        return hear(root.store) if isinstance(root, ObjectPlace) else None

    @property
    def silence(self) -> str:
        """Why the store of the lake cannot be asked; empty where it can, or there is none."""
        return "" if self.store_heard is None else self.store_heard.error

    def censor(self, text: str) -> str:
        """Return a text without any secret of this installation, in one line."""
        return censored(text, self._secrets, self._dsns)

    @cached_property
    def _held(self) -> dict[str, object]:
        held: dict[str, object] = dict(self.environment)
        if self.given is not None and self.sources is not None:
            from etl.check.doctor.origins import names  # noqa: PLC0415  (as above)

            for path in names():
                value: object = self.given
                for name in path:
                    value = getattr(value, name)
                held[".".join(path)] = value
        return held

    @cached_property
    def _secrets(self) -> list[str]:
        return secrets_of({name.replace(".", "_"): value for name, value in self._held.items()})

    @cached_property
    def _dsns(self) -> list[str]:
        return sorted({str(text) for name, text in self._held.items() if is_dsn(name) and text})
