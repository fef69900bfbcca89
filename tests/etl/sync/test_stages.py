import pytest

from etl.errors import EtlError
from etl.sync.run import is_turn
from etl.sync.stages import MOST_NOTES, Course, Stage
from etl.sync.summary import Summary, exit_code_of, told
from etl.sync.verdict import Verdicts, worst
from lake.errors import PartitionBusyError
from lake.partition import Partition


def nothing(_stage):
    """Do nothing."""


def failing(error):
    def work(_stage):
        raise error

    return work


def test_an_error_that_is_to_be_expected_ends_its_stage_alone():
    course = Course()
    course.run("a", failing(PartitionBusyError("busy")))
    course.run("b", nothing)

    assert [(one.stage, one.state, one.why) for one in course.stages] == [
        ("a", "failed", "busy"),
        ("b", "done", ""),
    ]


def test_any_other_error_is_a_bug_and_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        Course().run("a", failing(ZeroDivisionError()))


def test_what_needs_a_stage_that_came_to_nothing_is_skipped_and_so_is_what_needs_that():
    course = Course()
    course.run("a", failing(EtlError("no")))
    course.run("b", nothing, ["a"])
    course.run("c", nothing, ["b"])
    course.run("d", nothing, ["unheard of"])

    assert [(one.stage, one.state, one.why) for one in course.stages[1:]] == [
        ("b", "skipped", "a failed"),
        ("c", "skipped", "b skipped"),
        ("d", "done", ""),
    ]


def test_what_a_connection_sent_in_a_stage_counts_also_where_it_fails():
    sent, course = [3], Course()
    with course.stage("a", lambda: sent[0]):
        sent[0] = 8
        raise EtlError

    assert (course.stages[0].requests, course.requests) == (5, 5)


def test_of_many_notes_a_summary_has_the_first():
    course = Course()
    with course.stage("a") as stage:
        stage.notes = [f"note {number}" for number in range(50)]

    assert course.stages[0].notes[MOST_NOTES:] == ["30 more, in the log"]


@pytest.mark.parametrize(
    ("verdict", "states", "code"),
    [
        ("COMPLETE", ["done", "done"], 0),
        ("INCOMPLETE", ["done"], 3),
        ("UNKNOWN", ["done"], 4),
        ("COMPLETE", ["done", "failed"], 1),
        ("COMPLETE", ["failed", "skipped"], 1),
    ],
)
def test_the_exit_code_is_the_verdict_unless_a_stage_failed(verdict, states, code):
    assert exit_code_of(verdict, [Stage("a", state) for state in states]) == code


def held(verdict, **more):
    return Verdicts("funding_rates", verdict, 2, 1, 10, None, None, **more)


def test_the_worst_verdict_counts_and_nothing_is_unknown():
    assert worst([held("COMPLETE"), held("INCOMPLETE"), held("COMPLETE")]) == "INCOMPLETE"
    assert worst([held("UNKNOWN"), held("INCOMPLETE")]) == "UNKNOWN"
    assert worst([]) == "UNKNOWN"


def test_a_summary_in_words_says_why_and_how_old():
    old = Verdicts("index_prices", "INCOMPLETE", 1, 0, 5, 0, 200_000.0, why="btc_usd: absent 3")
    summary = Summary(
        verdict="INCOMPLETE", exit_code=3, started_ms=0, finished_ms=1, seconds=0.1, requests=1,
        rows=2, stages=[Stage("heal", "skipped", why="instruments failed", notes=["look"])],
        datasets=[old, held("UNKNOWN", why="never fetched")],
    )  # fmt: skip

    lines = told(summary).splitlines()
    assert lines[0] == "note: look"
    assert "instruments failed" in lines[2]
    assert " ".join(lines[5].split()) == (
        "index_prices INCOMPLETE 0/1 5 1970-01-01 00:00 2 d 7 h btc_usd: absent 3"
    )
    assert lines[-1] == "verdict: INCOMPLETE; 1 requests, 2 new rows, 0.1 s"


@pytest.mark.parametrize("period", ["2024", "2024-05", "2024-05-17", "all"])
def test_every_file_is_read_once_in_seven_nights(period):
    one = Partition("funding_rates", "BTC-PERPETUAL", period)

    assert sum(is_turn(one, day) for day in range(20_000, 20_007)) == 1


def test_the_years_of_an_instrument_are_read_on_different_nights():
    years = [Partition("funding_rates", "BTC-PERPETUAL", f"{year}") for year in range(2018, 2025)]

    assert [sum(is_turn(one, day) for one in years) for day in range(7)] == [1] * 7
