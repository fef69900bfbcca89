"""The folder of evidence: a file for each task, and a summary of every smoke test's last run."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lake.write import publish_bytes
from tests.acceptance.command import ROOT

SUMMARY = "summary.json"


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a smoke test ended, of which commit and when; what it checked, and what tells of it."""

    number: str
    phase: int
    states: str
    tasks: tuple[str, ...]
    criteria: tuple[str, ...]
    passed: bool
    reason: str | None
    seconds: float
    scale: str
    at: str
    version: str
    commit: str
    checks: list[dict[str, Any]]
    files: list[str]


@dataclass(frozen=True)
class Evidence:
    """The folder."""

    folder: Path

    def write(self, name: str, data: bytes) -> Path:
        """Keep a file, whole or not at all."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        publish_bytes(data, path)
        return path

    def clear(self, tasks: Iterable[str]) -> None:
        """Take away what an earlier run left of these tasks: no old file speaks for a new run."""
        for task in tasks:
            for path in self.folder.glob(f"{task}-*"):
                if path.is_file():
                    path.unlink()

    def results(self) -> dict[str, dict[str, Any]]:
        """Return how each smoke test ended last, by number; nothing where none has run."""
        path = self.folder / SUMMARY
        if not path.is_file():
            return {}
        told = json.loads(path.read_text(encoding="utf-8"))
        return {one["number"]: one for one in told["smokes"]}

    def keep(self, results: Iterable[Result]) -> None:
        """Put results in place of the same smoke tests' earlier ones, as JSON and as Markdown."""
        found = self.results() | {one.number: asdict(one) for one in results}
        ordered = [found[number] for number in sorted(found)]
        passed = sum(one["passed"] for one in ordered)
        told = {"passed": passed, "failed": len(ordered) - passed, "smokes": ordered}
        text = json.dumps(told, indent=1, ensure_ascii=False, default=str)
        self.write(SUMMARY, f"{text}\n".encode())
        self.write("summary.md", markdown(ordered).encode())


def markdown(results: list[dict[str, Any]]) -> str:
    """Return a table of how each ended."""
    head = ("smoke", "verdict", "s", "states", "tasks", "criteria", "scale", "commit", "at (UTC)")
    rows = [
        (
            one["number"],
            "pass" if one["passed"] else f"FAIL: {one['reason']}",
            f"{one['seconds']:.1f}",
            one["states"],
            " ".join(one["tasks"]),
            " ".join(one["criteria"]),
            one["scale"],
            one["commit"][:12],
            one["at"],
        )
        for one in results
    ]
    cells = [head, ("---",) * len(head), *rows]
    lines = ("| " + " | ".join(_cell(text) for text in row) + " |" for row in cells)
    return "\n".join(["# Acceptance", "", *lines, ""])


def product_version() -> str:
    """Return the version of the product that runs here."""
    return version("deribit-lake")


def commit() -> str:
    """Return the commit of this checkout, marked where files differ from it."""
    words = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no git checkout"


def _cell(text: str) -> str:
    return str(text).replace("|", "/").replace("\n", " ")
