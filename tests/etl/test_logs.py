import json
import logging
import multiprocessing
import re
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest

from etl.logs import BACKUPS, FILE_BYTES, event, logging_to

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z - etl\.test - INFO - hello$")
WORKERS = 4
LINES = 10_000
FILLING = "x" * 2_000


def write_lines(log_dir, worker):
    """What a worker process does: join the log, and write numbered lines."""
    with logging_to(log_dir, console=False):
        for number in range(LINES):
            logging.getLogger("etl.worker").info("%d %d %s", worker, number, FILLING)


def kept(path):
    """Worker and number of every line of a file."""
    fields = [line.split(" - ")[3].split(" ") for line in path.read_text().splitlines()]
    return [(int(worker), int(number)) for worker, number, filling in fields if filling == FILLING]


def crash(log_dir):
    with logging_to(log_dir, console=False):
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            logging.getLogger("etl.test").exception("failed")
            raise


def test_a_line_says_when_who_and_how_bad(tmp_path):
    with logging_to(tmp_path, console=False) as path:
        logging.getLogger("etl.test").info("hello")

    assert LINE.match(path.read_text().rstrip("\n"))


def test_everything_is_written_when_the_block_ends(tmp_path):
    with logging_to(tmp_path, console=False) as path:
        for number in range(1_000):
            logging.getLogger("etl.test").info("%d", number)

    assert len(path.read_text().splitlines()) == 1_000


def test_a_crash_loses_no_line_and_keeps_the_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError):
        crash(tmp_path)

    assert "ZeroDivisionError: division by zero" in (tmp_path / "app.log").read_text()


def test_other_packages_speak_only_when_something_is_wrong(tmp_path):
    with logging_to(tmp_path, console=False) as path:
        logging.getLogger("httpx").info("HTTP Request")
        logging.getLogger("httpx").warning("trouble")

    assert [line.split(" - ")[3] for line in path.read_text().splitlines()] == ["trouble"]


def test_the_level_is_settable(tmp_path):
    with logging_to(tmp_path, level=logging.DEBUG, console=False) as path:
        logging.getLogger("etl.test").debug("detail")

    assert "DEBUG - detail" in path.read_text()


def test_the_console_has_the_same_lines_without_the_details(tmp_path, capsys):
    with logging_to(tmp_path, level=logging.DEBUG, console=True):
        logging.getLogger("etl.test").debug("detail")
        logging.getLogger("etl.test").info("hello")

    assert LINE.match(capsys.readouterr().err.rstrip("\n"))


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_console_is_left_to_the_progress_bars_of_a_terminal(
    is_terminal, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with logging_to(tmp_path):
        logging.getLogger("etl.test").info("hello")

    assert bool(capsys.readouterr().err) is not is_terminal


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_notice_is_said_on_a_terminal_too_and_once(is_terminal, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with logging_to(tmp_path):
        logging.getLogger("etl.test").warning("away", extra={"is_notice": True})

    assert capsys.readouterr().err.count("away") == 1


def test_events_are_json_a_line_each_beside_the_same_lines_for_people(tmp_path):
    with logging_to(tmp_path, console=False, events="collect.jsonl") as path:
        told = event("alarm_rung", alarm="index", limit_s=60.0)
        logging.getLogger("etl.test").error("alarm %s:\nold", "index", extra=told)
        logging.getLogger("etl.test").info("hello")

    first, second = map(json.loads, (tmp_path / "collect.jsonl").read_text().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {
        "level": "ERROR",
        "logger": "etl.test",
        "event": "alarm_rung",
        "message": "alarm index:\nold",
        "fields": {"alarm": "index", "limit_s": 60.0},
    }
    assert (second["event"], second["fields"]) == ("log", {})
    assert "etl.test - INFO - hello" in path.read_text()


def test_a_traceback_is_one_line_of_the_events(tmp_path):
    with logging_to(tmp_path, console=False, events="collect.jsonl"):
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            logging.getLogger("etl.test").exception("failed", extra=event("failed", path=tmp_path))

    (line,) = (tmp_path / "collect.jsonl").read_text().splitlines()
    assert "ZeroDivisionError: division by zero" in json.loads(line)["message"]
    assert json.loads(line)["fields"] == {"path": str(tmp_path)}


def test_nothing_is_left_behind(tmp_path):
    root = logging.getLogger()
    before = (list(root.handlers), root.level)

    with logging_to(tmp_path, console=False):
        pass

    assert (list(root.handlers), root.level) == before


def test_a_log_that_cannot_be_written_is_one_line_and_no_crash(tmp_path, capsys):
    with logging_to(tmp_path, console=False) as path:
        path.mkdir()
        for _ in range(3):
            logging.getLogger("etl.test").info("hello")

    assert capsys.readouterr().err.count("log lines are lost") == 1


def test_workers_that_write_eighty_megabytes_lose_no_line_that_is_kept(tmp_path):
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        list(pool.map(write_lines, [tmp_path] * WORKERS, range(WORKERS)))

    backups = [tmp_path / f"app.log.{number}" for number in range(BACKUPS, 0, -1)]
    assert sorted(tmp_path.glob("app.log*")) == sorted([tmp_path / "app.log", *backups])
    sizes = [path.stat().st_size for path in backups]
    assert all(FILE_BYTES <= size < FILE_BYTES + 2 * len(FILLING) for size in sizes)
    lines = [line for path in [*backups, tmp_path / "app.log"] for line in kept(path)]
    assert_newest_without_hole(lines)


def assert_newest_without_hole(lines):
    """The oldest lines rotated away; of the kept ones none is missing, and all are in order."""
    assert BACKUPS * FILE_BYTES / 2_100 < len(lines) < WORKERS * LINES
    for worker in range(WORKERS):
        numbers = [number for of, number in lines if of == worker]
        assert numbers == list(range(LINES - len(numbers), LINES))
