"""Programs some tests ask, which a bare machine lacks."""

import os
import shutil

import pytest


def needed(program, package):
    """Pass over a test where a program is missing; under CI the test fails."""
    if shutil.which(program) is None:
        told = f"no {program}: apt-get install {package}"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
