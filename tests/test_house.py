import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PACKAGES = {"etl", "lake", "quant", "validators", "benchmarks"}
VERSION = PROJECT["project"]["version"]

# Written in halves, so that this file does not find itself.
REGISTRIES = ("pypi" + ".org", "python" + "hosted", "anaconda" + ".org", "npmjs" + ".org")
MACHINE = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/", "/op" + "t/")
INSTALLED = "/op" + "t/deribit-lake"  # where deploy/install.sh puts the program, on any machine


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607  git is where PATH says
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("no git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def tracked_texts():
    return {path: path.read_text(encoding="utf-8") for path in tracked() if path.exists()}


def requirements(text):
    lines = (line.rstrip(" \\") for line in text.splitlines())
    return [line for line in lines if line and not line.startswith((" ", "#"))]


@pytest.mark.parametrize("word", [*REGISTRIES, *MACHINE])
def test_no_file_names_a_registry_or_a_place_on_a_machine(word):
    texts = {path: text.replace(INSTALLED, "") for path, text in tracked_texts().items()}
    assert [path for path, text in texts.items() if word in text] == []


def test_no_file_is_large():
    large = [path for path in tracked() if path.exists() and path.stat().st_size > 300_000]
    assert [
        path for path in large if path.name != "requirements.lock"
    ] == []  # hashes of all wheels


def test_the_lock_names_no_host():
    assert "://" not in LOCK


def test_every_locked_version_has_a_hash():
    entries = re.split(r"\n(?=\S)", LOCK.partition("just lock\n")[2].strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert len(entries) > 50


def test_uv_is_held_to_the_locked_versions():
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == requirements(LOCK), "run `just lock`"


def test_builds_are_held_to_the_locked_versions():
    pins = PROJECT["tool"]["uv"]["build-constraint-dependencies"]
    assert any(pin.startswith("hatchling==") for pin in pins)
    assert set(pins) <= set(requirements(LOCK)), "run `just lock`"


def test_everything_the_project_asks_for_is_locked():
    asked = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    names = {re.split(r"[\[<>=~! ]", requirement)[0] for requirement in asked}
    locked = {requirement.partition("==")[0] for requirement in requirements(LOCK)}
    assert names - locked == set(), "run `just lock`"


def test_the_changelog_tells_of_this_version():
    assert f"\n## {VERSION} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_readme_says_which_python_is_supported():
    label = "Programming Language :: Python :: "
    stated = [one.removeprefix(label) for one in PROJECT["project"]["classifiers"]]
    assert PROJECT["project"]["requires-python"] == f">={stated[0]}"
    assert f"Python {stated[0]} to {stated[-1]}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_no_member_hides_the_type_of_one(package):
    """Since Python 3.14 the name of a type is looked up in the class first, among its members."""
    hidden = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            members = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.AnnAssign)]
            names = {one.target.id for one in members if isinstance(one.target, ast.Name)}
            types = {
                name.id
                for one in members
                for name in ast.walk(one.annotation)
                if isinstance(name, ast.Name)
            }
            if isinstance(node, ast.ClassDef) and names & types:
                hidden.append((path.name, node.name, names & types))
    assert hidden == []


def test_no_module_is_longer_than_400_lines():
    lengths = {
        path.relative_to(ROOT): text.count("\n")
        for path, text in tracked_texts().items()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES
    }
    assert {path: lines for path, lines in lengths.items() if lines > 400} == {}
