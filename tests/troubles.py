"""What doctor may find, as docs/doctor.md tells of it: written by ``just docs``."""

import re
from pathlib import Path

from etl.check.doctor.cure import Known
from etl.check.doctor.known import KNOWN

DOCTOR = Path(__file__).parents[1] / "docs" / "doctor.md"
FINDINGS = re.compile(r"(?<=<!-- findings -->\n).*?(?=<!-- end of findings -->)", re.DOTALL)


def write_findings() -> None:
    """Write the tables of findings."""
    page = DOCTOR.read_text(encoding="utf-8")
    DOCTOR.write_text(FINDINGS.sub(lambda _: findings_tables(), page), encoding="utf-8")


def findings_tables() -> str:
    """Return every finding of doctor with its level, cause and cure, by what it is of."""
    lines: list[str] = []
    of = ""
    for code, known in sorted(KNOWN.items(), key=_area):
        if code.partition(".")[0] != of:
            of = code.partition(".")[0]
            lines += ["", f"### {of}", "", "| finding | is a | cause | what to do |"]
            lines.append("|---|---|---|---|")
        cells = (f"`{code}`", known.level, known.cause, known.cure)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, "", ""])


def _area(item: tuple[str, Known]) -> int:
    """Return the place of what a finding is of among all of that, so that each has one table."""
    areas = list(dict.fromkeys(code.partition(".")[0] for code in KNOWN))
    return areas.index(item[0].partition(".")[0])
