"""Pictures from the command line: written where they are asked for, refused in one line."""

import time

import pytest

from lake.arrow import arrow
from lake.partition import Partition
from lake.paths import open_lake
from lake.write import publish_table
from tests import surfaces
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess

NOBODY = "http://127.0.0.1:9"
PLOT = ("plot", "surface", "--currency", "BTC", "--at", "2025-10-16T12:00")


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """Return a lake that holds one surface, and an exchange that does not answer."""
    lake = open_lake(tmp_path_factory.mktemp("held") / "lake", create=True)
    partition = Partition("vol_slices", "BTC", "2025-10")
    publish_table(arrow(surfaces.slices()), lake.derived(partition))
    return InProcess(Product(lake.root, NOBODY))


def test_a_surface_is_one_file_and_the_exchange_is_not_asked(product, tmp_path):
    out = tmp_path / "surface.html"
    began = time.monotonic()
    done = product.run(*PLOT, "--output", out)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"wrote {out}\n", "")
    assert "<h1>BTC, 2025-10-16 12:00 UTC, from trades</h1>" in out.read_text()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--source", "marks"), "no surface of BTC from marks; there are some from: trades"),
        (("--at", "2025-10-16T11:00"), "at 2025-10-16 11:00; nearest: 2025-10-16 12:00"),
        (("--currency", "DOGE"), "no surface of 'DOGE'; there are: BTC"),
        (("--at", "noon"), "--at 'noon' is not a date"),
        (("--output", "/proc/surface.html"), "cannot write /proc/surface.html"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(product, tmp_path, words, line):
    out = () if "--output" in words else ("--output", tmp_path / "x.html")
    done = product.run(*PLOT, *out, *words)

    assert (done.returncode, line in done.stderr) == (1, True), done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x.html").exists()


def test_a_lake_without_surfaces_says_what_to_run(tmp_path):
    done = InProcess(Product(tmp_path / "lake", NOBODY)).run(*PLOT, "--output", tmp_path / "x")

    assert done.returncode == 1
    assert "holds no surface yet: run `deribit-lake compute vol_slices`" in done.stderr
