"""Versions of the program, Python and the libraries; what the processor has; numba's cache."""

import importlib.util
import os
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from etl.check.doctor.finding import Finding, found, well
from etl.check.doctor.people import user
from etl.check.doctor.situation import Situation

OURS = "deribit-lake"
CPUINFO = Path("/proc/cpuinfo")
CHECKOUT = Path(__file__).parents[3]
FLAGS = {"sse3": "pni", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "cmpxchg16b": "cx16"}
FLAGS |= {"lzcnt": "abm", "pclmulqdq": "pclmulqdq"}
"""What Linux calls instructions whose names differ."""
_PIN = re.compile(r"^([A-Za-z0-9_.-]+==[^\s\\]+(?:\s*;[^\\]+)?)", re.MULTILINE)


def look(situation: Situation) -> Iterator[Finding]:
    """Look at versions, the processor and numba's cache."""
    yield from _libraries()
    yield from _processor()
    yield from _cache(situation)


def _libraries() -> Iterator[Finding]:
    wanted = [one for one in map(Requirement, requires(OURS) or []) if _applies(one)]
    wrong = [finding for one in wanted for finding in _of(one, "library.version")]
    lock = CHECKOUT / "requirements.lock"  # in a checkout; what is installed is without
    known = {finding.details for finding in wrong}
    for one in _pins(lock) if lock.is_file() else []:
        wrong += [each for each in _of(one, "library.unpinned") if each.details not in known]
    yield from wrong
    if not wrong:
        is_pinned = " as pinned" if lock.is_file() else ""
        told = f"{OURS} {version(OURS)}, Python {platform.python_version()}"
        yield well("programs", f"{told}, {len(wanted)} libraries{is_pinned}")


def _of(one: Requirement, code: str) -> Iterator[Finding]:
    """Yield what is wrong with a library; its name alone is the detail by which it is known."""
    try:
        held = version(one.name)
    except PackageNotFoundError:
        if code == "library.version":  # what only development needs is pinned, too
            yield found("library.missing", f"{one.name}, expected {one.specifier}", one.name)
        return
    if not one.specifier.contains(held, prereleases=True):
        yield found(code, f"{one.name} {held}, expected {one.specifier}", one.name)


def _applies(one: Requirement) -> bool:
    return one.marker is None or one.marker.evaluate({"extra": ""})


def _pins(lock: Path) -> list[Requirement]:
    lines = _PIN.findall(lock.read_text(encoding="utf-8"))
    return [one for one in map(Requirement, lines) if _applies(one)]


def _processor() -> Iterator[Finding]:
    """Hold the processor against what polars is compiled to; elsewhere than on x86 it says none."""
    needed = _needed()
    told = CPUINFO.read_text(encoding="utf-8") if CPUINFO.exists() else ""
    flags = re.search(r"^flags\s*:(.*)$", told, re.MULTILINE)
    if not needed or flags is None:
        return
    held = set(flags[1].split())
    lacking = [name for name in needed if FLAGS.get(name, name) not in held]
    if lacking:
        yield found("cpu.features", f"the processor lacks {', '.join(lacking)}")
    else:
        yield well("programs", f"the processor has all {len(needed)} instructions polars wants")


def _needed() -> list[str]:
    """Return the instructions the runtime of polars was compiled to, as it states them itself."""
    where = importlib.util.find_spec("_polars_runtime_32")
    for folder in (where.submodule_search_locations or []) if where else []:
        stated = Path(folder) / "build_feature_flags.py"
        if stated.is_file():
            names = re.findall(r"\+([\w.-]+)", stated.read_text(encoding="utf-8"))
            return [name for name in names if name != "crt-static"]
    return []


def _cache(situation: Situation) -> Iterator[Finding]:
    told = situation.environment.get("NUMBA_CACHE_DIR")
    beside = CHECKOUT / "quant" / "kernels" / "__pycache__"
    home = situation.environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    places = [Path(told)] if told else [beside, Path(home) / "numba"]
    writable = next(filter(_is_writable, places), None)
    if writable is None:
        what = f"numba can keep nothing in {' or '.join(map(str, places))}"
        yield found("numba.cache", what, user=user())
    else:
        yield well("programs", f"numba keeps what it compiled in {writable}")


def _is_writable(folder: Path) -> bool:
    """Whether a folder may be written, or made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
