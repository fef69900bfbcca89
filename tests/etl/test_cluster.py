"""Computed on the workers of a Dask cluster: the bytes of a serial run, or one line that says why.

Scheduler and workers are processes of their own on loopback; one scheduler and two workers serve
most of these tests.
"""

import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from numpy.lib.introspect import opt_func_info

from etl import cluster as our_cluster
from etl.build import BUILD, INNER_LOOPS, digest_of
from etl.cluster import Terms, Work, check_build, checked
from etl.errors import OtherBuildError, OtherLakeError, UsageError
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.store.place import place_of
from lake.token import FOLDER, has_token, token
from tests.acceptance.command import ROOT, Product
from tests.acceptance.in_process import InProcess
from tests.dask_cluster import cluster
from tests.etl.compute.test_month_borders import HOURS, chain, hold
from tests.priced_trades import priced

MONTHS = ("2025-10", "2025-11")
MADE = ("option_iv", "surface")
NOWHERE = "tcp://127.0.0.1:1"
WAIT_S = 120
CERTIFICATES = ("TLS__CA_FILE", "TLS__CLIENT__CERT", "TLS__CLIENT__KEY")


def lake_of_trades(root):
    """Return a lake with option trades of two months, of which nothing is computed."""
    lake = open_lake(root, create=True)
    trades = priced([row for hour in HOURS for row in chain(hour)])
    for month in MONTHS:
        of_month = pl.col("timestamp").dt.strftime("%Y-%m") == month
        hold(lake, month, trades.filter(of_month).sort("instrument", "timestamp", "trade_seq"))
    return lake


def published(root):
    """What is computed, and what the ledger says of it: every byte."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for top in ("derived", "quarantine", "ledger")
        for path in sorted((root / top).glob("**/*.[jp]*"))
    }


def product(lake):
    return Product(lake.root, "http://localhost:1")


def compute(lake, *words):
    return InProcess(product(lake)).run("compute", *MADE, *words)


def said_in_a_line(done):
    """Return the line a failed command ends with; it has no traceback."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    return done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("dask"), 2) as running:
        yield running


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    lake = lake_of_trades(tmp_path_factory.mktemp("serial") / "lake")
    assert compute(lake, "--workers", 1).returncode == 0
    return published(lake.root)


@pytest.fixture
def lake(tmp_path):
    return lake_of_trades(tmp_path / "lake")


def test_a_cluster_leaves_the_bytes_of_a_serial_run(dask, lake, serial):
    done = compute(lake, "--cluster", dask.address)

    assert (done.returncode, done.stderr.count("error")) == (0, 0)
    assert f"{dask.address}: 2 workers" in done.stderr
    assert published(lake.root) == serial
    assert len(serial) > 10
    assert not list((lake.root / FOLDER).iterdir())


def test_a_second_run_finds_nothing_to_do(dask, lake):
    compute(lake, "--cluster", dask.address)

    done = compute(lake, "--cluster", dask.address)

    assert done.stdout.startswith("0 partitions computed")


def test_a_setting_names_the_scheduler_and_workers_overrule_it(lake, monkeypatch):
    monkeypatch.setenv("DERIBIT_LAKE_CLUSTER", NOWHERE)
    monkeypatch.setattr(our_cluster, "CONNECT_S", 0.5)

    line = said_in_a_line(compute(lake))

    assert line.startswith(f"error: no Dask scheduler answers at {NOWHERE}: ")
    assert not (lake.root / "derived").exists()
    assert compute(lake, "--workers", 1).returncode == 0


def test_workers_and_a_cluster_are_not_had_together(lake):
    done = compute(lake, "--workers", 2, "--cluster", NOWHERE)

    assert said_in_a_line(done) == "error: --workers and --cluster: expected one of them"


@pytest.mark.parametrize(
    "address",
    ["http://h:1", "tcp://h", "h:8786", "tcp://", "tcp://h:0", "tcp://h:99999", "tcp://h:1/x", ""],
)
def test_what_is_no_address_is_refused_by_its_form(address):
    with pytest.raises(UsageError, match="expected tcp://HOST:PORT") as refused:
        checked(address)

    assert str(refused.value).startswith(f"--cluster {address}: ")


def test_a_password_in_an_address_is_not_repeated():
    with pytest.raises(UsageError) as refused:
        checked("tcp://me:secret@h:8786/")

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["tcp://h:8786", "tls://10.0.0.1:1", "tcp://[::1]:8786"])
def test_an_address_is_taken_as_it_is(address):
    assert checked(address) == address


def test_tls_without_certificates_is_one_line_that_names_their_settings(dask, lake):
    address = dask.address.replace("tcp", "tls")

    line = said_in_a_line(compute(lake, "--cluster", address))

    assert "TLS needs certificates" in line
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in line


@pytest.mark.parametrize(
    ("scheme", "names", "value", "said"),
    [
        ("tcp", ("REQUIRE_ENCRYPTION",), "true", "Dask's settings require TLS"),
        ("tls", CERTIFICATES, "nowhere.pem", "certificates of no use: [Errno 2]"),
    ],
)
def test_settings_of_dask_that_do_not_suit_are_one_line(lake, scheme, names, value, said):
    settings = tuple((f"DASK_DISTRIBUTED__COMM__{name}", value) for name in names)
    given = Product(lake.root, "http://h:1", settings)

    line = said_in_a_line(given.run("compute", "--cluster", f"{scheme}://127.0.0.1:1"))

    assert said in line


def test_a_folder_that_is_no_lake_is_left_as_it_is(dask, tmp_path):
    done = compute(Lake(tmp_path / "lake"), "--cluster", dask.address)

    assert said_in_a_line(done) == f"error: there is no lake at {tmp_path / 'lake'}"
    assert not (tmp_path / "lake").exists()


def test_an_error_in_a_worker_is_the_line_it_is_here(dask, lake):
    trades = lake.clean(Partition("option_trades", "BTC", MONTHS[0]))
    trades.write_bytes(b"PAR1" + bytes(100) + b"PAR1")

    for where in (("--cluster", dask.address), ("--workers", 2), ("--workers", 1)):
        line = said_in_a_line(compute(lake, *where))
        assert line.startswith(f"error: {trades} is corrupt (")


def test_workers_that_see_another_folder_are_refused(dask, lake, monkeypatch):
    monkeypatch.chdir(lake.root.parent)
    seen, before = Lake(Path("/proc/self/cwd/lake")), published(lake.root)  # each its own cwd

    line = said_in_a_line(compute(seen, "--cluster", dask.address))

    assert line.startswith("error: worker tcp://127.0.0.1:")
    assert "does not see the lake at /proc/self/cwd/lake" in line
    assert published(lake.root) == before


def test_a_worker_without_keys_to_a_bucket_is_named_with_what_is_missing(dask):
    terms = Terms(BUILD, Lake(place_of("s3://bucket/lake", endpoint="http://127.0.0.1:1")), "word")
    with (
        dask.client() as client,
        pytest.raises(
            OtherLakeError,
            match=r"^worker tcp://\S+ does not .*: s3://bucket/lake (refuses|cannot)",
        ),
    ):
        done_by(client, terms)


def test_a_token_is_of_one_lake_and_gone_in_the_end(tmp_path):
    lake, copy = (lake_of_trades(tmp_path / name) for name in ("lake", "copy"))

    with token(lake) as word:
        assert has_token(lake, word)
        assert not has_token(copy, word)
    assert not has_token(lake, word)


def test_a_token_of_a_killed_run_is_tidied_after_a_month(tmp_path):
    lake = lake_of_trades(tmp_path / "lake")
    with token(lake):
        (left, young) = (lake.root / FOLDER / name for name in ("old", "young"))
        left.touch()
        young.touch()
        os.utime(left, (0, 0))

    with token(lake):
        assert not left.exists()
        assert young.exists()


def test_the_digest_of_the_code_is_of_its_names_and_its_content(tmp_path):
    folder = tmp_path / "etl"
    folder.mkdir()
    found = set()
    for name, text in (("a.py", "x"), ("a.py", "y"), ("b.py", "x")):
        (folder / name).write_text(text)
        found.add(digest_of(tmp_path))

    assert len(found) == 3
    (folder / "c.txt").touch()
    assert digest_of(tmp_path) in found


@pytest.mark.parametrize("name", ["deribit-lake", "numba", "numpy", "polars", "pyarrow", "machine"])
def test_a_worker_that_differs_is_named_with_both_versions(name):
    other = BUILD | {name: "9.9"}

    with pytest.raises(OtherBuildError) as refused:
        check_build("tcp://h:1", other, BUILD)

    assert f"worker tcp://h:1 has {name} 9.9, and here it is {BUILD[name]}" in str(refused.value)


def test_a_worker_that_says_less_differs():
    with pytest.raises(OtherBuildError, match="has polars none"):
        check_build("tcp://h:1", {**BUILD, "polars": "none"}, BUILD)
    with pytest.raises(OtherBuildError, match="No module named 'etl'"):
        check_build("tcp://h:1", ModuleNotFoundError("No module named 'etl'"), BUILD)
    check_build("tcp://h:1", dict(BUILD), BUILD)


def test_a_processor_that_computes_other_last_digits_is_another_build():
    disabled = os.environ | {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_SKX"}
    program = f"from etl.build import *; print(BUILD[{INNER_LOOPS!r}])"
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=disabled, cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip

    told = opt_func_info(func_name="^(exp|log)$", signature="float64")
    runs = [told[name]["dd"]["current"] for name in ("exp", "log")]
    assert BUILD[INNER_LOOPS] == "/".join(runs)
    assert "V4" not in found
    assert (found == BUILD[INNER_LOOPS]) == ("V4" not in BUILD[INNER_LOOPS])


@pytest.fixture(scope="module")
def other_code(tmp_path_factory):
    """Return a tree of our packages in which one step has another version."""
    root = tmp_path_factory.mktemp("other")
    for name in ("etl", "lake", "quant", "validators"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    step = root / "etl" / "compute" / "option_iv.py"
    step.write_text(step.read_text() + "\n# another version\n")
    return root


def test_workers_with_other_code_are_refused_at_once_and_by_each_task(tmp_path, lake, other_code):
    theirs, before = f"0.1.0+{digest_of(other_code)}", published(lake.root)
    with cluster(tmp_path / "dask", 0) as running:
        running.add(PYTHONPATH=str(other_code))

        line = said_in_a_line(compute(lake, "--cluster", running.address))

        assert line.startswith("error: worker tcp://127.0.0.1:")
        assert f" has deribit-lake {theirs}, and here it is {BUILD['deribit-lake']}: " in line
        assert published(lake.root) == before
        with running.client() as client, token(lake) as word:
            here = Terms(BUILD, lake, word)
            with pytest.raises(OtherBuildError, match=f"has deribit-lake {re.escape(theirs)}"):
                done_by(client, here)
            agreed = replace(here, build=BUILD | {"deribit-lake": theirs})
            assert done_by(client, agreed) == running.workers[0].pid
            with pytest.raises(OtherLakeError, match="does not see the lake"):
                done_by(client, replace(agreed, word="another"))


def done_by(client, terms):
    """Return the process that did a piece of work."""
    work = pickle.dumps(Work(terms, os.getpid))
    return client.submit(pickle.loads, work, pure=False).result(WAIT_S)
