"""An installation that is well, of which tests break one thing each."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from etl.when import clock_ms
from lake.operations import Outcome, write_outcome
from lake.paths import Lake
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TROUBLE = {"warning", "fault"}


@dataclass(frozen=True)
class Installation:
    """A lake, the exchange it is of, and what its environment says."""

    product: Product

    @property
    def lake(self):
        return self.product.lake

    @property
    def folder(self):
        return self.lake.parent

    def told(self, **variables):
        """Return the installation with other variables in its environment."""
        settings = (*self.product.settings, *variables.items())
        return Installation(replace(self.product, settings=settings))

    def asking(self, host):
        """Return the installation with another exchange."""
        return Installation(replace(self.product, host=host))

    def doctor(self, *words, before=()):
        """Return what doctor says, and its exit code."""
        done = InProcess(self.product).run(*before, "doctor", "--json", *words)
        assert done.stderr == ""
        return Told(json.loads(done.stdout), done.returncode)

    def own_process(self, *words):
        """Return what a doctor of a process of its own says, and its exit code."""
        done = self.product.run("doctor", "--json", *words)
        assert done.stderr == ""
        return Told(json.loads(done.stdout), done.returncode)


@dataclass(frozen=True)
class Told:
    """What doctor said."""

    report: dict
    code: int

    @property
    def troubles(self):
        """Return the findings that ask for something, by their code."""
        found = [one for one in self.report["findings"] if one["level"] in TROUBLE]
        codes = [one["code"] for one in found]
        assert len(codes) == len(set(codes)), codes
        return dict(zip(codes, found, strict=True))

    def only(self, code):
        """Return the one finding, which is to be that one; the exit code is its level's."""
        assert list(self.troubles) == [code]
        found = self.troubles[code]
        assert self.code == (1 if found["level"] == "fault" else 0)
        assert self.report["verdict"] == ("faulty" if self.code else "healthy")
        return found

    def all_of(self, code):
        """Return what was seen of all that goes by a code, be it well or not looked at."""
        return [one["what"] for one in self.report["findings"] if one["code"] == code]


def copied(installation, folder):
    """Return a copy of an installation, with operations that went well an hour ago."""
    shutil.copytree(installation.lake, folder / "lake")
    product = Product(folder / "lake", installation.product.host, (("TMPDIR", str(folder)),))
    copy = Installation(product)
    for name in ("sync", "backup", "drill"):
        ended(copy, name)
    return copy


def ended(installation, operation, ago_ms=HOUR_MS, exit_code=0, error=None):
    """Let an operation have ended some time ago."""
    moment = clock_ms() - ago_ms
    outcome = Outcome(
        operation=operation,
        started_ms=moment - 60_000,
        finished_ms=moment,
        exit_code=exit_code,
        error=error,
    )
    write_outcome(Lake(Path(installation.lake)), outcome)
