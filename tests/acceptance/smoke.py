"""What a smoke test of the backlog is: a real run, checks that can fail, evidence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.evidence import Evidence
from tests.acceptance.stage import Stage


class SmokeError(Exception):
    """What was found is not what has to be."""


@dataclass(frozen=True)
class Smoke:
    """One smoke test: what it states, and tasks and criteria of the backlog it answers for."""

    number: str
    phase: int
    states: str
    tasks: tuple[str, ...]
    criteria: tuple[str, ...]
    run: Callable[["Trial"], None]


@dataclass
class Trial:
    """One run of a smoke test: where it plays, what was checked, which files tell of it."""

    smoke: Smoke
    stage: Stage
    evidence: Evidence
    checks: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def equal(self, what: str, found: Any, expected: Any) -> None:
        """Fail unless something is what it has to be, and note both.

        Raises
        ------
        SmokeError
            If it is not.
        """
        self.checks.append({"what": what, "found": found, "expected": expected})
        if found != expected:
            message = f"{what}: {found!r}, expected {expected!r}"
            raise SmokeError(message)

    def holds(self, what: str, is_so: bool, found: Any) -> None:  # noqa: FBT001  what is checked
        """Fail unless a statement holds, and note what was found.

        Raises
        ------
        SmokeError
            If it does not hold.
        """
        self.checks.append({"what": what, "found": found, "holds": bool(is_so)})
        if not is_so:
            message = f"{what}: not so, found {found!r}"
            raise SmokeError(message)

    def write(self, name: str, told: str | bytes) -> None:
        """Keep a file of evidence, named after a task of this one: T-006-btc-backfill.txt."""
        self.belongs(name)
        self.evidence.write(name, told if isinstance(told, bytes) else told.encode())
        self.files.append(name)

    def belongs(self, name: str) -> None:
        """Refuse a name that is of no task of this smoke test.

        Raises
        ------
        SmokeError
            If it is not.
        """
        if not name.startswith(tuple(f"{task}-" for task in self.smoke.tasks)):
            message = f"evidence {name!r}: expected the name of a task: {self.smoke.tasks}"
            raise SmokeError(message)

    def complete(self) -> None:
        """Refuse a run that checked nothing, or left a task without evidence.

        Raises
        ------
        SmokeError
            If so.
        """
        bare = [
            task for task in self.smoke.tasks if not any(f.startswith(task) for f in self.files)
        ]
        if not self.checks or bare:
            message = f"{len(self.checks)} checks; no evidence of {', '.join(bare) or 'nothing'}"
            raise SmokeError(message)


SMOKES: dict[str, Smoke] = {}
"""All of them by number; a module of a phase adds its own."""


def smoke(
    number: str, *, tasks: tuple[str, ...], criteria: tuple[str, ...]
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Register a smoke test; its phase is its module's, its docstring what it states."""

    def register(run: Callable[[Trial], None]) -> Callable[[Trial], None]:
        phase = int(run.__module__.rpartition("_")[2])
        states = (run.__doc__ or "").strip().splitlines()[0]
        SMOKES[number] = Smoke(number, phase, states, tasks, criteria, run)
        return run

    return register
