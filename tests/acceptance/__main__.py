"""``just accept PHASE …``: the smoke tests of the backlog, and their evidence.

The exit code is the verdict: 0 where every chosen smoke test passed, else 1. One that cannot run
here is a failure that says why.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from tests.acceptance import evidence
from tests.acceptance.command import ROOT
from tests.acceptance.evidence import Evidence, Result
from tests.acceptance.scale import SCALES
from tests.acceptance.smoke import SMOKES, Smoke, Trial
from tests.acceptance.stage import Stage

PHASES = tuple(range(6))
EVIDENCE = ROOT / "tests" / "evidence"


def main() -> None:
    """Run the smoke tests that were named, and leave with the verdict."""
    options = _parser().parse_args()
    chosen = {number for numbers in options.what for number in numbers}
    kept = Evidence(options.evidence.absolute())
    started = time.monotonic()
    with Stage(SCALES[options.scale]) as stage:
        results = run([SMOKES[number] for number in sorted(chosen)], stage, kept)
    code, told = verdict(results)
    seconds = time.monotonic() - started
    say(f"{len(results)} smoke tests in {seconds:.0f} s, {told}; evidence in {kept.folder}")
    sys.exit(code)


def smokes_of(phases: Sequence[int]) -> list[Smoke]:
    """Return the smoke tests of phases, in their order."""
    for phase in phases:
        import_module(f"tests.acceptance.phase_{phase}")
    return [SMOKES[number] for number in sorted(SMOKES) if SMOKES[number].phase in phases]


def run(smokes: Sequence[Smoke], stage: Stage, kept: Evidence) -> list[Result]:
    """Run smoke tests one after the other, and keep how each ended as soon as it has."""
    results = []
    for one in smokes:
        say(f"{one.number}  {one.states}")
        kept.clear([*one.tasks, one.number])
        results.append(tried(Trial(one, stage, kept)))
        kept.keep(results)
        verdict = "pass" if results[-1].passed else f"FAIL  {results[-1].reason}"
        say(f"{one.number}  {verdict}  ({results[-1].seconds:.1f} s)")
    return results


def verdict(results: Sequence[Result]) -> tuple[int, str]:
    """Return the exit code, and the verdict in words; where nothing ran, nothing passed."""
    failed = [one.number for one in results if not one.passed]
    if failed or not results:
        return 1, f"{len(failed)} FAILED: {', '.join(failed)}"
    return 0, "all passed"


def tried(trial: Trial) -> Result:
    """Run a smoke test; whatever stops it is a failure with its reason."""
    started, at, reason = time.monotonic(), datetime.now(UTC), None
    try:
        trial.smoke.run(trial)
        trial.complete()
    except Exception as error:  # noqa: BLE001  (a smoke test that breaks down has failed)
        reason = f"{type(error).__name__}: {error}"
        text = "".join(traceback.format_exception(error))
        trial.evidence.write(f"{trial.smoke.number}-failure.txt", text.encode())
        trial.files.append(f"{trial.smoke.number}-failure.txt")
    smoke = trial.smoke
    return Result(
        number=smoke.number,
        phase=smoke.phase,
        states=smoke.states,
        tasks=smoke.tasks,
        criteria=smoke.criteria,
        passed=reason is None,
        reason=reason,
        seconds=round(time.monotonic() - started, 1),
        scale=trial.stage.scale.name,
        at=f"{at:%Y-%m-%d %H:%M:%S}",
        version=evidence.product_version(),
        commit=evidence.commit(),
        checks=trial.checks,
        files=trial.files,
    )


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        """Refuse in one line."""
        self.exit(2, f"just accept: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="just accept", description=__doc__)
    parser.add_argument("what", nargs="+", type=_numbers, help="0 to 5, all, or SMK-001 …")
    parser.add_argument("--scale", type=_scale, default="full", help=f"{' or '.join(SCALES)}")
    parser.add_argument("--evidence", type=Path, default=EVIDENCE, help="folder of the evidence")
    return parser


def _numbers(text: str) -> list[str]:
    found = [one.number for one in smokes_of(PHASES) if text in {"all", str(one.phase), one.number}]
    if not found:
        message = f"{text!r}: expected a phase from 0 to {PHASES[-1]}, all, or one as SMK-001"
        raise argparse.ArgumentTypeError(message)
    return found


def _scale(text: str) -> str:
    if text not in SCALES:
        nearest = get_close_matches(text, SCALES, 1, 0)[0]
        message = f"scale {text!r}: there are {', '.join(SCALES)}; nearest: {nearest}"
        raise argparse.ArgumentTypeError(message)
    return text


if __name__ == "__main__":
    main()
