"""Smoke tests are believed only if they can fail: what fails is said, and no old file stays."""

import json

import pytest

from tests.acceptance.__main__ import run, smokes_of, verdict
from tests.acceptance.evidence import Evidence
from tests.acceptance.scale import SCALES
from tests.acceptance.smoke import SMOKES, Smoke
from tests.acceptance.stage import CommandError, Stage


@pytest.fixture
def stage():
    with Stage(SCALES["small"]) as one:
        yield one


def smoke(play, number="SMK-900", tasks=("T-900",)):
    return Smoke(number, 9, "Something holds.", tasks, ("AC-900",), play)


def good(trial):
    trial.equal("one", 1, 1)
    trial.write("T-900-one.txt", "1\n")


def checks_nothing(trial):
    trial.write("T-900-one.txt", "1\n")


def leaves_no_evidence(trial):
    trial.equal("one", 1, 1)


def has_evidence_of_another(trial):
    trial.equal("one", 1, 1)
    trial.write("T-901-one.txt", "1\n")


def finds_two(trial):
    trial.write("T-900-one.txt", "2\n")
    trial.equal("one", 2, 1)


def finds_it_is_not_so(trial):
    trial.write("T-900-one.txt", "2\n")
    trial.holds("it is so", False, 2)


def breaks_down(trial):
    trial.equal("one", 1, 1)
    trial.write("T-900-one.txt", str(1 // 0))


def ends_with_an_error(trial):
    trial.write("T-900-one.txt", trial.stage.run("deribit-lake", "status", "--dataset", "x"))


def test_one_that_holds_passes_and_says_of_what_commit(stage, tmp_path):
    (result,) = run([smoke(good)], stage, Evidence(tmp_path))

    told = json.loads((tmp_path / "summary.json").read_text())
    (one,) = told["smokes"]
    assert (result.passed, told["passed"], told["failed"]) == (True, 1, 0)
    assert one["checks"] == [{"what": "one", "found": 1, "expected": 1}]
    assert (one["files"], one["scale"]) == (["T-900-one.txt"], "small")
    assert all(one[name] for name in ("version", "commit", "at"))
    assert "| SMK-900 | pass |" in (tmp_path / "summary.md").read_text()
    assert verdict([result]) == (0, "all passed")


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        (checks_nothing, "0 checks; no evidence of nothing"),
        (leaves_no_evidence, "1 checks; no evidence of T-900"),
        (has_evidence_of_another, "evidence 'T-901-one.txt': expected the name of a task"),
        (finds_two, "SmokeError: one: 2, expected 1"),
        (finds_it_is_not_so, "SmokeError: it is so: not so, found 2"),
        (breaks_down, "ZeroDivisionError"),
        (ends_with_an_error, "--dataset x` ended with 1, expected 0: error: no dataset 'x'"),
    ],
)
def test_one_that_does_not_hold_fails_with_its_reason(stage, tmp_path, play, reason):
    (result,) = run([smoke(play)], stage, Evidence(tmp_path))

    assert not result.passed
    assert reason in result.reason
    assert "Traceback" in (tmp_path / "SMK-900-failure.txt").read_text()
    assert "| SMK-900 | FAIL: " in (tmp_path / "summary.md").read_text()
    assert verdict([result]) == (1, "1 FAILED: SMK-900")


def test_a_run_of_nothing_is_no_pass():
    assert verdict([])[0] == 1


def test_the_evidence_of_a_run_before_is_gone_and_that_of_others_stays(stage, tmp_path):
    kept = Evidence(tmp_path)
    run([smoke(breaks_down)], stage, kept)
    (tmp_path / "T-900-old.txt").write_text("of a run before")
    run([smoke(good, "SMK-901", ("T-900",)), smoke(leaves_no_evidence)], stage, kept)

    told = {
        one["number"]: one["passed"]
        for one in json.loads((tmp_path / "summary.json").read_text())["smokes"]
    }
    assert told == {"SMK-900": False, "SMK-901": True}
    assert not (tmp_path / "T-900-old.txt").exists()


def test_settings_of_the_user_do_not_reach_the_product(stage, monkeypatch):
    monkeypatch.setenv("DERIBIT_LAKE_ROOT", "/elsewhere")
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("RESTIC_PASSWORD", "mine")

    assert stage.environment["DERIBIT_LAKE_ROOT"] == str(stage.lake)
    assert not {"PGHOST", "RESTIC_PASSWORD"} & set(stage.environment)


def test_a_command_that_ends_otherwise_is_named_with_its_last_words(stage):
    with pytest.raises(
        CommandError, match=r"`deribit-lake heal --dataset x` ended with 1.*nearest"
    ):
        stage.run("deribit-lake", "heal", "--dataset", "x")


def test_phases_are_run_in_the_order_of_their_numbers():
    numbers = [one.number for one in smokes_of([2, 0])]

    assert numbers == ["SMK-001", "SMK-002", "SMK-003", "SMK-008", "SMK-009", "SMK-010"]
    assert set(numbers) <= set(SMOKES)
