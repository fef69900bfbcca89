"""The backlog's phases at a small scale, as `just accept` runs them."""

import json
import os
import subprocess
import sys

import pytest

from tests.acceptance.__main__ import PHASES, smokes_of
from tests.acceptance.command import ROOT

PAGE = ROOT / "docs" / "acceptance.md"
CANNOT = ("CannotBootError", "no TimescaleDB")
"""Why a phase cannot run on a machine that is no server: CI has to be one."""


def accept(*words):
    return subprocess.run(
        [sys.executable, "-m", "tests.acceptance", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.database
@pytest.mark.parametrize("phase", PHASES)
def test_every_smoke_test_of_a_phase_passes_and_leaves_its_evidence(phase, tmp_path):
    done = accept(phase, "--scale", "small", "--evidence", tmp_path)

    told = json.loads((tmp_path / "summary.json").read_text())
    failed = {one["number"]: one["reason"] for one in told["smokes"] if not one["passed"]}
    if failed and all(any(why in reason for why in CANNOT) for reason in failed.values()):
        assert not os.environ.get("CI"), failed
        pytest.skip(str(failed))
    assert (failed, done.returncode) == ({}, 0), done.stdout + done.stderr
    assert [one["number"] for one in told["smokes"]] == [one.number for one in smokes_of([phase])]
    page = PAGE.read_text(encoding="utf-8")
    for one in told["smokes"]:
        assert one["checks"]
        assert [name for name in one["files"] if f"`{name}`" not in page] == []
        assert all((tmp_path / name).stat().st_size > 0 for name in one["files"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["6"], "'6': expected a phase from 0 to 5, all, or one as SMK-001"),
        (["0", "SMK-021"], "'SMK-021': expected a phase"),
        (["all", "--scale", "smal"], "scale 'smal': there are full, small; nearest: small"),
        ([], "the following arguments are required: what"),
    ],
)
def test_what_cannot_be_run_is_one_line(words, line):
    done = accept(*words)

    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert line in done.stderr
