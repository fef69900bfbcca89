import subprocess
from pathlib import Path

import pytest

from tests.deploy.machine import CannotBootError, booted
from tests.deploy.service import INSTALL, PYTHON

HERE = Path(__file__).parent
RUN_THERE = (
    HERE / "stand_in.py",
    HERE / "night.sh",
    HERE / "sandbox.py",
    HERE.parent / "accelerated" / "sitecustomize.py",
)


@pytest.fixture(scope="package")
def machine(tmp_path_factory):
    """Return a machine on which deribit-lake was installed; in its /srv lies what tests run."""
    new_enough = [PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if not PYTHON.exists() or subprocess.run(new_enough, check=False).returncode:
        pytest.skip("the machine has no Python of its own from 3.11 on")
    try:
        with booted(tmp_path_factory.mktemp("machine")) as own:
            done = own.run(INSTALL, "--python", PYTHON)
            assert done.returncode == 0, done.stderr
            for path in RUN_THERE:
                own.write(f"/srv/{path.name}", path.read_text(encoding="utf-8"))
            yield own
    except CannotBootError as error:
        pytest.skip(str(error))
