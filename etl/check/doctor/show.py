"""Findings for people and for programs."""

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from etl.check.doctor.finding import LEVELS, Finding

NARROW = 60
"""Columns below which text begins on a line of its own."""
MARKS = {"ok": "ok", "warning": "warning", "fault": "FAULT", "not looked at": "-"}
WIDTH = max(map(len, MARKS.values())) + 2


def has_faults(findings: Sequence[Finding]) -> bool:
    """Whether anything is found that keeps the installation from working."""
    return any(one.level == "fault" for one in findings)


def as_text(findings: Sequence[Finding], *, columns: int, seconds: float) -> str:
    """Return findings for people: a paragraph each, what to do below, and last a summary."""
    lines = [line for one in findings for line in _paragraph(one, columns)]
    last = _wrapped(f"{summary(findings)} ({seconds:.1f} s)", columns, "", "")
    return "\n".join([*lines, "", *last])


def as_json(findings: Sequence[Finding], *, version: str, at_ms: int, seconds: float) -> str:
    """Return findings as JSON; `at` is Unix milliseconds."""
    told: dict[str, Any] = {
        "verdict": "faulty" if has_faults(findings) else "healthy",
        "version": version,
        "at_ms": at_ms,
        "seconds": round(seconds, 3),
        "counts": _counts(findings),
        "findings": [
            {
                "code": one.code,
                "level": one.level,
                "what": one.what,
                "todo": one.todo,
                "details": list(one.details),
            }
            for one in findings
        ],
    }
    return json.dumps(told, indent=1, ensure_ascii=False)


def summary(findings: Sequence[Finding]) -> str:
    """Return how many there are of each level, the worst first."""
    counts = _counts(findings)
    words = {"fault": "faults", "warning": "warnings"}
    return ", ".join(
        f"{count} {level if count == 1 else words.get(level, level)}"
        for level, count in counts.items()
    )


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    counts = Counter(one.level for one in findings)
    return {level: counts[level] for level in LEVELS}


def _paragraph(finding: Finding, columns: int) -> list[str]:
    mark = MARKS[finding.level].ljust(WIDTH)
    indent = " " * (2 if columns < NARROW else WIDTH)
    told = f"{finding.code}: {finding.what}"
    lines = _wrapped(told, columns, mark, indent)
    for detail in finding.details:
        lines += _wrapped(detail, columns, f"{indent}  ", f"{indent}    ")
    if finding.todo:
        lines += _wrapped(finding.todo, columns, f"{indent}-> ", f"{indent}   ")
    return lines


def _wrapped(text: str, columns: int, first: str, others: str) -> list[str]:
    """Break lines between words alone: a command or a path is to be copied."""
    return textwrap.wrap(
        text,
        max(columns, 20),
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
