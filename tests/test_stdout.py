"""What is printed comes out whole, or the command says so; never a traceback."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = [
    ("status", "--json"),
    ("query", "FROM range(100000)", "--format", "csv"),
    ("query", "--help"),
]
FULL = f"error: cannot write to stdout: {os.strerror(errno.ENOSPC)}"


def ran(folder, *words, **streams):
    return subprocess.run(
        [sys.executable, "-m", "cli", "--lake", str(folder / "lake"), *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **streams,
    )


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_closed_pipe_ends_a_command_quietly(tmp_path, words):
    reader, writer = os.pipe()
    os.close(reader)

    done = ran(tmp_path, *words, stdout=writer)

    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_full_disk_under_stdout_is_one_line(tmp_path, words):
    with Path("/dev/full").open("wb") as full:
        done = ran(tmp_path, *words, stdout=full)

    assert (done.returncode, done.stderr.splitlines()) == (1, [FULL])


def test_a_closed_stdout_hides_no_verdict(tmp_path):
    shell = [*("bash", "-c", '"$@" >&-'), "bash", sys.executable, "-m", "cli"]
    words = ["--lake", str(tmp_path / "lake"), "status"]

    done = subprocess.run([*shell, *words], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (4, "")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full")
def test_an_answer_for_a_full_device_leaves_the_device_as_it_is(tmp_path):
    done = ran(tmp_path, "query", "SELECT 1", "--format", "csv", "--out", "/dev/full")

    assert done.returncode == 1
    assert done.stderr.startswith("error: no space left on the disk that holds /dev/full")
    assert Path("/dev/full").is_char_device()


def test_a_folder_whose_name_is_no_text_is_printed_as_it_is(tmp_path):
    lake = os.fsencode(tmp_path) + b"/lake\xff"
    words = [sys.executable, "-m", "cli", "--lake", lake, "verify"]

    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (0, b"0 faults in " + lake + b"\n")
