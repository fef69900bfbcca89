"""docs/acceptance.md is the map: what the code answers for, and what the backlog asks."""

import re

import pytest

from tests.acceptance.__main__ import PHASES, smokes_of
from tests.acceptance.command import ROOT

PAGE = (ROOT / "docs" / "acceptance.md").read_text(encoding="utf-8")
BACKLOG = ROOT.parent / "shared" / "BACKLOG.md"
SMOKES = smokes_of(PHASES)


def table(heading, prefix):
    """Return the cells of the rows below a heading, by what stands first in them."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^\| ({prefix}-\d{{3}}) \| (.*) \|$", section, re.MULTILINE)
    rows = {number: rest.split(" | ") for number, rest in found}
    assert len(rows) == len(found)
    return rows


def backlog():
    if not BACKLOG.exists():
        pytest.skip("the backlog is not part of the repository")
    return BACKLOG.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("heading", "prefix", "last"),
    [("Smoke tests", "SMK", 20), ("Criteria", "AC", 19), ("Tasks", "T", 30)],
)
def test_every_number_has_one_row(heading, prefix, last):
    assert list(table(heading, prefix)) == [f"{prefix}-{n:03}" for n in range(1, last + 1)]


def test_the_smoke_tests_are_those_of_the_code():
    said = table("Smoke tests", "SMK")
    found = {
        one.number: [
            str(one.phase), one.states.rstrip("."), " ".join(one.tasks), " ".join(one.criteria)
        ]
        for one in SMOKES
    }  # fmt: skip

    assert found == said


def test_every_criterion_names_the_smoke_tests_that_answer_for_it():
    said = {number: row[1].split() for number, row in table("Criteria", "AC").items()}
    found = {ac: [one.number for one in SMOKES if ac in one.criteria] for ac in said}

    assert found == said
    assert all(said.values())


def test_every_task_is_answered_by_one_smoke_test_of_its_phase_with_all_its_criteria():
    by_task = {task: one for one in SMOKES for task in one.tasks}
    for task, (phase, _, criteria, number, evidence) in table("Tasks", "T").items():
        smoke = by_task[task]
        assert (number, phase) == (smoke.number, str(smoke.phase))
        assert set(criteria.split()) <= set(smoke.criteria), task
        assert re.fullmatch(rf"`{task}-[\w./-]+`(, `{task}-[\w./-]+`)*", evidence)
    assert sum(len(one.tasks) for one in SMOKES) == len(by_task) == 30


def test_titles_and_criteria_of_tasks_are_the_backlog_s():
    rows = re.findall(r"^\| (T-\d{3}) +\| (.*) \|$", backlog(), re.MULTILINE)
    wanted = {
        task: [cells[0].replace("`", ""), cells[4].replace(",", "")]
        for task, cells in ((task, [one.strip() for one in rest.split("|")]) for task, rest in rows)
    }
    said = {task: [row[1], row[2]] for task, row in table("Tasks", "T").items()}

    assert said == wanted


def test_each_gate_of_the_backlog_has_its_smoke_tests():
    gates = re.findall(r"\*\*Phase (\d) Acceptance Gate:\*\*.*?→ (.*) pass", backlog())
    wanted = {int(phase): re.findall(r"SMK-\d{3}", told) for phase, told in gates}

    assert {phase: [one.number for one in smokes_of([phase])] for phase in PHASES} == wanted


def test_evidence_has_the_names_the_backlog_gives_it():
    paths = re.findall(r"`/tests/evidence/([\w.-]+)`", backlog())

    assert len(paths) >= 7
    assert [name for name in paths if f"`{name}`" not in PAGE] == []


def test_every_script_of_the_backlog_has_a_recipe_of_its_name():
    recipes = (ROOT / "justfile").read_text(encoding="utf-8")
    named = set(re.findall(r"scripts[./](\w+?)(?:\.py)?\b", PAGE))

    assert len(named) == 6
    assert [
        one for one in named if not re.search(rf"^(alias )?{one} ", recipes, re.MULTILINE)
    ] == []


def test_every_script_the_backlog_names_stands_on_the_page():
    named = set(re.findall(r"(?:scripts[./]|Implement `)(\w+)(?:\.py)?`?", backlog())) - {"py"}

    assert named
    assert [one for one in named if not re.search(rf"scripts[./]{one}", PAGE)] == []
