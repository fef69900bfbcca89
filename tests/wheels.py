"""Packages the tests run beside us, pinned by hashes: installed once, in a folder of their own.

They are not in our environment, for what is there changes what ours does: where pandas is, pyarrow
imports it, and every command takes half a second longer.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from etl.database.packages import alone, default_cache

OWN_UV = Path(__file__).parents[1] / ".tools" / "bin" / "uv"


class WheelError(Exception):
    """Packages cannot be had."""


def unpacked(name: str, wanted: str) -> Path:
    """Return the folder some packages are installed into, fetching them if need be.

    Parameters
    ----------
    name
        What the folder is called.
    wanted
        The packages as a requirements file has them, with their hashes; nothing else is installed.

    Raises
    ------
    WheelError
        If there is no uv, or it cannot fetch the very packages that were pinned.
    """
    digest = hashlib.sha256(f"{sys.version}\n{wanted}".encode()).hexdigest()[:12]
    root = default_cache().with_name(f"{name}-{digest}")
    root.parent.mkdir(parents=True, exist_ok=True)
    with alone(root.with_name(f"{root.name}.lock")):
        if not root.exists():
            with tempfile.TemporaryDirectory(prefix=f"{root.name}.", dir=root.parent) as folder:
                _install(wanted, Path(folder))
                (Path(folder) / "installed").rename(root)
    return root


def _install(wanted: str, folder: Path) -> None:
    uv = shutil.which("uv") or (str(OWN_UV) if OWN_UV.exists() else None)
    if uv is None:
        message = "no uv on this machine"
        raise WheelError(message)
    (folder / "wanted.txt").write_text(wanted, encoding="utf-8")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-config"]
    command += ["--python", sys.executable, "--target", str(folder / "installed")]
    command += ["--requirement", str(folder / "wanted.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        message = f"uv cannot install {folder.name}: {' '.join(done.stderr.split())[:300]}"
        raise WheelError(message)
