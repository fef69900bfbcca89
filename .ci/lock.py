"""Pin every dependency: requirements.lock with hashes, and the same versions in pyproject.toml.

``uv run`` resolves by itself (its uv.lock names hosts, so git ignores it) and obeys the versions in
pyproject.toml; ``.ci/run`` installs from requirements.lock. Options go to ``uv pip compile``:
``just lock --upgrade``, ``just lock --upgrade-package polars``.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT, LOCK = ROOT / "pyproject.toml", ROOT / "requirements.lock"
UV = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")  # where the README puts it
FIRST, LAST = "# pins, written by `just lock`\n", "# end of pins\n"


def main() -> None:
    """Resolve without the pins of pyproject.toml, and write both files."""
    text = PROJECT.read_text(encoding="utf-8")
    head, rest = text.split(FIRST)
    tail = rest.split(LAST)[1]
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "pyproject.toml").write_text(head + tail, encoding="utf-8")
        (here / "README.md").touch()
        old = LOCK.read_bytes() if LOCK.exists() else b""
        (here / "requirements.lock").write_bytes(old)
        project = ["pyproject.toml", "--group=dev", "--group=build", "--generate-hashes"]
        _compile(here, [*project, "--output-file=requirements.lock", *sys.argv[1:]])
        locked = (here / "requirements.lock").read_text(encoding="utf-8")
        build = _compile(here, ["--group=build", "--constraints=requirements.lock"])
    LOCK.write_text(locked, encoding="utf-8")
    pins = _table("constraint-dependencies", _requirements(locked))
    pins += _table("build-constraint-dependencies", _requirements(build))
    PROJECT.write_text(head + FIRST + pins + LAST + tail, encoding="utf-8")


def _compile(folder: Path, options: list[str]) -> str:
    """Return what ``uv pip compile`` resolves in a folder, for every platform."""
    command = [UV, "pip", "compile", "--universal", "--no-annotate", "--quiet"]
    command += ["--custom-compile-command=just lock", *options]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def _requirements(text: str) -> list[str]:
    """Return the requirements of a compiled file, without hashes."""
    lines = (line.rstrip(" \\") for line in text.splitlines())
    return [line for line in lines if line and not line.startswith((" ", "#"))]


def _table(name: str, requirements: list[str]) -> str:
    entries = "".join(f'  "{requirement}",\n' for requirement in requirements)
    return f"{name} = [\n{entries}]\n"


if __name__ == "__main__":
    main()
