import json

import pytest

from etl.check.doctor.finding import Finding, found, unseen, well
from etl.check.doctor.show import as_json, as_text, has_faults

FINDINGS = [
    well("disk", "70 GB of 80 GB free", "one detail"),
    found("lake.none", "/data is not there", folder="/data"),
    Finding("host.refuses", "fault", "HTTP 418", "see what it says"),
    unseen("timers", "no systemd runs here"),
]


def test_people_read_the_level_what_was_seen_and_what_to_do():
    assert as_text(FINDINGS[2:], columns=80, seconds=0.25).splitlines() == [
        "FAULT    host.refuses: HTTP 418",
        "         -> see what it says",
        "-        timers: no systemd runs here",
        "",
        "1 fault, 0 warnings, 0 ok, 1 not looked at (0.2 s)",
    ]


def test_details_stand_below_what_they_are_of():
    lines = as_text(FINDINGS[:1], columns=80, seconds=0).splitlines()
    assert lines[:2] == ["ok       disk: 70 GB of 80 GB free", "           one detail"]


@pytest.mark.parametrize("columns", [20, 40, 59, 60, 100])
def test_lines_are_as_wide_as_the_terminal_but_for_words_that_are_wider(columns):
    for line in as_text(FINDINGS, columns=columns, seconds=1).splitlines():
        words = line.split()
        assert len(line) <= columns or len(words) <= 2


def test_a_command_is_broken_between_its_words_alone():
    disabled = found("timer.disabled", "it is off", unit="deribit-lake-sync.timer")
    told = as_text([disabled], columns=40, seconds=0)
    assert "deribit-lake-sync.timer" in told


def test_programs_read_all_of_it():
    told = json.loads(as_json(FINDINGS, version="1.2", at_ms=7, seconds=0.12345))
    assert {name: told[name] for name in ("verdict", "version", "at_ms", "seconds")} == {
        "verdict": "faulty",
        "version": "1.2",
        "at_ms": 7,
        "seconds": 0.123,
    }
    assert told["counts"] == {"fault": 1, "warning": 1, "ok": 1, "not looked at": 1}
    assert told["findings"][0] == {
        "code": "disk",
        "level": "ok",
        "what": "70 GB of 80 GB free",
        "todo": "",
        "details": ["one detail"],
    }


def test_warnings_are_no_faults():
    assert has_faults(FINDINGS)
    assert not has_faults([FINDINGS[0], FINDINGS[1], FINDINGS[3]])
    assert json.loads(as_json(FINDINGS[:2], version="", at_ms=0, seconds=0))["verdict"] == "healthy"
