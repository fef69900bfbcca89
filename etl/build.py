"""What decides the bytes of a computation in this process: code, libraries, the processor.

A constant, made when this module is imported: what changes on disk later is not what runs here.
"""

import platform
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from numpy.lib.introspect import opt_func_info

PACKAGES = ("etl", "lake", "quant", "validators")
LIBRARIES = ("distributed", "llvmlite", "numba", "numpy", "polars", "pyarrow")
SOURCE = (".py", ".toml")
ROOT = Path(__file__).parents[1]
INNER_LOOPS = "numpy's exp and log"


def digest_of(root: Path) -> str:
    """Return a digest of our packages below a folder, by names and content: source and tables."""
    found = blake2b(digest_size=6)
    for package in PACKAGES:
        files = (path for path in (root / package).rglob("*") if path.suffix in SOURCE)
        for path in sorted(files):
            source = path.read_bytes()
            found.update(f"{path.relative_to(root).as_posix()} {len(source)}\n".encode())
            found.update(source)
    return found.hexdigest()


def _inner_loops() -> str:
    """Return what numpy computes with on this processor: its last digits follow from that.

    `NPY_DISABLE_CPU_FEATURES` has a newer processor compute as an older one.
    """
    chosen = opt_func_info(func_name="^(exp|log)$", signature="float64")
    return "/".join(chosen[name]["dd"]["current"] for name in sorted(chosen))


BUILD: dict[str, str] = {
    "deribit-lake": f"{version('deribit-lake')}+{digest_of(ROOT)}",
    "Python": ".".join(platform.python_version_tuple()[:2]),
    **{name: version(name) for name in LIBRARIES},
    "machine": platform.machine(),
    INNER_LOOPS: _inner_loops(),
}
