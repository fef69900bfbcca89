"""docs/examples as a reader runs them: each a process of its own that ends in a picture."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import wheels
from tests.exchange.running import running

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "examples"
WANTED = (FOLDER / "requirements.lock").read_text(encoding="utf-8")
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
ORANGE, BLUE, DARK_RED = "#f7931a", "#1e3a8a", "#800026"  # of what is drawn, not of its frame
SHOWN = {
    "funding_and_basis": (
        r"funding (-?\d+\.\d+) %, carry of 30 days (-?\d+\.\d+) % a year",
        (ORANGE, BLUE),
    ),
    "realised_and_implied": (
        r"(\d+) hours, implied over realised (-?\d+\.\d) points on average",
        (ORANGE, BLUE),
    ),
    "volume_by_hour": (r"most in hour (\d+) of day ([1-7]): (\d+\.\d) million USD", (DARK_RED,)),
    "smiles": (r"(\d+) smiles, (\d+) trades, (\d+\.\d) % at the money of the first", (ORANGE,)),
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Return a folder in which a reader ran the page's commands, of ten days and not a year."""
    folder = tmp_path_factory.mktemp("examples")
    with running(limits=False, options_since="2025-10-01", option_activity=0.05) as exchange:
        bucket = {f"DERIBIT_LAKE_CREDIT_{name}": "1e9" for name in ("CAPACITY", "REFILL")}
        environment = os.environ | {"DERIBIT_LAKE_HOST": exchange.url} | bucket
        for words in commands("deribit-lake"):
            told = words.replace("2025-01-01", "2025-10-08").split()
            run(
                [sys.executable, "-m", "cli", *told],
                folder,
                environment | {"PYTHONPATH": str(ROOT)},
            )
    return folder


def commands(program):
    return re.findall(rf"^{program} (.*)$", PAGE, re.MULTILINE)


def run(words, folder, environment):
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pixels(path, environment):
    """Return a picture's colours, as matplotlib reads them."""
    code = (
        "import sys; import numpy as np; from matplotlib.image import imread;"
        "np.save(sys.argv[2], imread(sys.argv[1]))"
    )
    run([sys.executable, "-c", code, str(path), f"{path}.npy"], path.parent, environment)
    return np.load(f"{path}.npy")


def drawn(picture, colour):
    """Return how many pixels of a picture have a colour, or nearly."""
    wanted = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    found = np.abs(picture[..., :3] - np.array(wanted)).max(axis=-1)
    return int((found < 0.03).sum())


def test_the_page_runs_every_script_there_is():
    scripts = sorted(path.name for path in FOLDER.glob("*.py"))

    assert scripts == sorted(re.findall(r"^python docs/examples/(\S+)", PAGE, re.MULTILINE))
    assert scripts == sorted(f"{name}.py" for name in SHOWN)


@pytest.mark.slow
def test_every_example_ends_in_a_picture(reader, subtests):
    """All in one test: those that share a lake would else each be given one of their own."""
    for words in commands("python"):
        with subtests.test(words):
            check_picture(reader, words)


def check_picture(reader, words):
    script, held, name = words.split()
    told, inks = SHOWN[Path(script).stem]
    beside = wheels.unpacked("examples", WANTED)
    environment = {
        "PATH": os.environ["PATH"],
        "MPLCONFIGDIR": str(reader / "matplotlib"),
        "PYTHONPATH": str(beside),
    }

    # -W: a warning is an error; -P: what it needs of us lies in the lake alone
    start = [sys.executable, "-P", "-W", "error"]
    said = run([*start, str(ROOT / script), held, name], reader, environment)

    picture = pixels(reader / name, environment)
    assert picture.shape[0] > 350
    assert picture.shape[1] == 990
    assert 5_000 < (reader / name).stat().st_size < 200_000
    assert all(drawn(picture, ink) > 200 for ink in inks)
    assert re.fullmatch(told, said.strip()), said


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_and_knows_nothing_of_our_code(path):
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 60
    assert not re.search(
        r"^(?:import|from) (?:etl|lake|quant|validators|tests)\b", text, re.MULTILINE
    )
