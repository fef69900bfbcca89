"""Settings: where each comes from, what cannot be used, what is no setting; files of secrets."""

import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.origins import Problem, Sources, names, nearest, value_of
from etl.check.doctor.people import owner
from etl.check.doctor.secrets import is_secret
from etl.check.doctor.situation import Situation

OTHERS = 0o077
HELD: tuple[str, ...] = (
    "RESTIC_PASSWORD",
    "RESTIC_PASSWORD_FILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)
HELD += ("B2_ACCOUNT_ID", "B2_ACCOUNT_KEY", "PGPASSWORD", "PGPASSFILE")
"""Variables, other than settings, that what we start reads."""


def look(situation: Situation) -> Iterator[Finding]:
    """Look at settings, and at the files secrets lie in."""
    sources = situation.sources
    if sources is None:
        yield unseen("settings", situation.why_not)
        return
    yield from map(_of_problem, sources.problems)
    for name in sources.strangers():
        what = f"{name} is no setting of deribit-lake"
        yield found("settings.variable", what, name=name, nearest=nearest(name))
    if situation.given is not None:
        yield _origins(situation, sources)
    yield from _secret_files(situation, sources)
    if situation.given is not None and (refusal := situation.refusal(situation.given)):
        yield found("settings.keep", refusal)


def _of_problem(problem: Problem) -> Finding:
    what = f"{problem.where}: {problem.name}: {problem.why}".replace(": : ", ": ")
    near = nearest(problem.name)
    return found(f"settings.{problem.kind}", what, file=problem.where, nearest=near)


def _origins(situation: Situation, sources: Sources) -> Finding:
    """Say which settings are no defaults, and where they come from; secrets are set or not."""
    settings = situation.settings
    by_path = {path: sources.origin(path) for path in names(type(settings))}
    counts = Counter(by_path.values())
    details = [
        f"{'.'.join(path)} = {value_of(settings, path)} ({origin})"
        for path, origin in by_path.items()
        if origin != "default"
    ]
    held = [name for name in HELD if situation.environment.get(name)]
    details += [f"{name} = {_shown(situation, name)} (environment)" for name in held]
    told = ", ".join(f"{count} from {origin}" for origin, count in sorted(counts.items()))
    file = f"{sources.file}" if sources.values else "no file"
    return well("settings", f"{len(by_path)} settings ({file}): {told}", *details)


def _shown(situation: Situation, name: str) -> str:
    return "(set)" if is_secret(name) else situation.environment[name]


def _secret_files(situation: Situation, sources: Sources) -> Iterator[Finding]:
    files = [sources.file.absolute().parent / "environment"]
    files += [
        Path(situation.environment[name])
        for name in ("RESTIC_PASSWORD_FILE", "PGPASSFILE")
        if situation.environment.get(name)
    ]
    for path in files:
        if not path.is_file():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & OTHERS:
            what = f"{path} has mode {mode:04o}: others than {owner(path)} may get at it"
            yield found("secrets.mode", what, file=path)
        else:
            yield well("settings", f"{path} is of {owner(path)} alone ({mode:04o})")
