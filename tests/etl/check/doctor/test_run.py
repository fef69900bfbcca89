import sys
import time
from types import ModuleType

import pytest

from etl.check.doctor.finding import well
from etl.check.doctor.origins import read_sources
from etl.check.doctor.run import CHECKS, Check, examine
from etl.check.doctor.situation import Situation
from etl.config import Settings

PREFIX = "etl.check.doctor."


def situation(given=None, **told):
    environment = {"RESTIC_PASSWORD": "geheim-1"}
    sources = read_sources(None, {}, environment)
    silent, kept = (lambda _: ("silent", "")), (lambda _: "")
    return Situation(given, sources, environment, 0, silent, kept, **told)


@pytest.fixture
def module(monkeypatch):
    """Return a function that puts a check of our own beside the others, and returns it."""

    def put(name, look, **told):
        made = ModuleType(PREFIX + name)
        made.look = look
        monkeypatch.setitem(sys.modules, PREFIX + name, made)
        return Check(name, **told)

    return put


def fine(_):
    yield well("fine", "all is well")


def stumbling(_):
    yield well("stumbling", "before")
    message = "the password is geheim-1"
    raise KeyError(message)


def hanging(_):
    yield well("hanging", "before")
    time.sleep(30)


def told(findings):
    return [(one.code, one.level, one.what) for one in findings]


def test_a_check_that_stumbles_is_a_finding_without_secrets(module):
    checks = [module("stumbling", stumbling), module("fine", fine)]
    assert told(examine(situation(Settings()), checks)) == [
        ("stumbling", "ok", "before"),
        ("fine", "ok", "all is well"),
        ("check.failed", "fault", "stumbling: KeyError: 'the password is ***'"),
    ]


def test_what_two_stumble_over_is_told_once(module):
    checks = [module("one", stumbling), module("two", stumbling)]
    last = examine(situation(Settings()), checks)[-1]
    assert last.what.startswith("one, two: KeyError")


def test_a_check_that_hangs_is_a_finding_and_the_others_are_told(module):
    started = time.monotonic()
    checks = [module("hanging", hanging, seconds=0.2), module("fine", fine)]
    found = examine(situation(Settings()), checks)
    assert time.monotonic() - started < 5
    assert told(found) == [
        ("hanging", "ok", "before"),
        ("check.slow", "warning", "hanging: no answer within 0.2 s"),
        ("fine", "ok", "all is well"),
    ]


def test_only_a_deep_look_may_take_any_time(module):
    def slow(_):
        time.sleep(0.5)
        yield well("slow", "done")

    check = module("slow", slow, seconds=0.1, may_be_deep=True)
    assert told(examine(situation(Settings()), [check])) == [
        ("check.slow", "warning", "slow: no answer within 0.1 s")
    ]
    found = examine(situation(Settings(), is_deep=True), [check])
    assert told(found) == [("slow", "ok", "done")]


def test_a_module_that_cannot_be_imported_is_a_finding():
    (found,) = examine(situation(Settings()), [Check("nowhere")])
    assert found.code == "check.failed"
    assert "No module named 'etl.check.doctor.nowhere'" in found.what


def test_without_settings_only_what_needs_none_is_looked_at(module):
    checks = [module("fine", fine), module("bare", fine, needs=frozenset())]
    assert told(examine(situation(), checks)) == [
        ("fine", "not looked at", "no settings can be read"),
        ("fine", "ok", "all is well"),
    ]


def test_every_check_has_less_time_than_the_whole_may_take():
    assert all(check.seconds <= 8 for check in CHECKS)
