"""The command that looks at an installation as a whole: doctor."""

from typing import TYPE_CHECKING, Annotated

import typer

from etl.commands.options import ERROR, AsJson, Flags

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl.check.doctor.situation import Heard, Situation
    from etl.config import Settings

app = typer.Typer()


@app.command()
def doctor(
    context: typer.Context,
    as_json: AsJson = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave out what needs the network.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every byte of the lake, as `verify` does.")
    ] = False,
) -> None:
    """Look at all an installation needs, and say of each fault what to do; exit code 1 with one.

    Without --deep it takes 10 seconds at most. Nothing is changed, nothing is fetched.

    Example: deribit-lake doctor
    """
    import os
    import shutil
    import sys
    import time
    from importlib.metadata import version

    from etl.check.doctor import show
    from etl.check.doctor.run import examine

    started = time.monotonic()
    situation = _situation(context.find_root().obj, is_offline=offline, is_deep=deep)
    findings = examine(situation)
    seconds = time.monotonic() - started
    if as_json:
        told = version("deribit-lake")
        at_ms = situation.now_ms
        typer.echo(show.as_json(findings, version=told, at_ms=at_ms, seconds=seconds))
    else:
        columns = shutil.get_terminal_size().columns
        typer.echo(show.as_text(findings, columns=columns, seconds=seconds))
    code = ERROR if show.has_faults(findings) else 0
    if any(one.code == "check.slow" for one in findings):
        sys.stdout.flush()
        os._exit(code)  # what hangs would be waited for, on the way out
    raise typer.Exit(code)


def _situation(flags: Flags, *, is_offline: bool, is_deep: bool) -> "Situation":
    """Return what is to be looked at; where no settings can be read, without them."""
    import os
    import time

    from etl.check.doctor.situation import Situation

    given, sources, why_not = None, None, ""
    try:
        from etl.check.doctor.origins import read_sources, salvage

        sources = read_sources(flags.config, flags.values, os.environ)
        given = salvage(sources)
    except Exception as error:  # noqa: BLE001  (doctor has to work where nothing else does)
        why_not = f"{type(error).__name__}: {error}"
    return Situation(
        given,
        sources,
        dict(os.environ),
        time.time_ns() // 1_000_000,
        _ask_collector,
        _refusals(),
        is_offline=is_offline,
        is_deep=is_deep,
        why_not=why_not,
    )


def _refusals() -> "Callable[[Settings], str]":
    """Return what says why `sync` refuses what is to be kept; it says nothing where it does not.

    What it needs is imported here, before checks run side by side: of what is broken, a second
    thread sees half.
    """
    try:
        from etl.errors import UsageError
        from etl.sync.keep import keeping_of
        from etl.when import clock_ms
    except Exception:  # noqa: BLE001  (a library that is broken is a finding of others)
        return lambda _: ""

    def refusal(settings: "Settings") -> str:
        try:
            keeping_of(settings.keep, clock_ms())
        except UsageError as error:
            return str(error)
        return ""

    return refusal


def _ask_collector(settings: "Settings") -> "Heard":
    """Return how the collector is by its page, and what that says."""
    from etl.collect.health.asking import ask, told

    answer = ask(settings.collect)
    if answer.overview is None:
        return "silent", told(answer)
    alarms = "; ".join(f"{one['name']}: {one['text']}" for one in answer.overview["alarms"])
    verdict = answer.overview["verdict"]
    said = f"the collector at {answer.address} is {verdict}"
    return ("fresh", said) if answer.is_fresh else ("alarm", f"{said}; {alarms}".rstrip("; "))
