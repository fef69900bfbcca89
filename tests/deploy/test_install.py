import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

from etl.config import Settings, load_settings
from etl.errors import UsageError
from tests import pages
from tests.deploy.programs import needed

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "deploy" / "install.sh"
PROGRAM = Path("/", "opt", "deribit-lake")


def install(*options, **environment):
    return subprocess.run(
        [INSTALL, *map(str, options)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def below(root, path):
    return root / str(path).removeprefix("/")


def listing(root):
    """Return mode, owner, time and content of everything below a folder."""
    return {path.relative_to(root): what(path) for path in root.rglob("*")}


def what(path):
    info = path.lstat()
    kept = (stat.filemode(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns)
    if path.is_symlink():
        return *kept, str(path.readlink())
    return *kept, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a folder with a small checkout and what install.sh made of it.

    It asks for nothing but its builder: the program itself is installed by the slow tests.
    """
    if os.geteuid() == 0:  # who makes a user
        needed("systemd-sysusers", "systemd")
    folder = tmp_path_factory.mktemp("prepared")
    small = folder / "checkout"
    for name in ("etl", "lake", "quant", "validators", "sql"):
        (small / name).mkdir(parents=True)
    shutil.copytree(ROOT / "deploy", small / "deploy")
    (small / "cli.py").write_text("def main() -> None:\n    print('usage')\n", encoding="utf-8")
    (small / "pyproject.toml").write_text(SMALL, encoding="utf-8")
    (small / "requirements.lock").write_text(locked_builder(), encoding="utf-8")
    done = install("--destdir", folder / "root", small)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def place(prepared, tmp_path):
    """Return a copy of it, owners and times and all."""
    subprocess.run(["cp", "--archive", prepared, tmp_path / "place"], check=True)  # noqa: S607
    return tmp_path / "place"


@pytest.fixture
def checkout(place):
    return place / "checkout"


@pytest.fixture
def installed(place):
    return place / "root"


SMALL = """\
[project]
name = "deribit-lake"
version = "0.1.0"
[project.scripts]
deribit-lake = "cli:main"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.hatch.build.targets.wheel]
only-include = ["cli.py"]
"""


def locked_builder():
    """Return the part of requirements.lock that hatchling needs, hashes and all."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = project["tool"]["uv"]["build-constraint-dependencies"]
    entries = (ROOT / "requirements.lock").read_text(encoding="utf-8").split("\n")
    kept, inside = [], False
    for line in entries:
        inside = line.startswith(tuple(pins)) if not line.startswith((" ", "#")) else inside
        kept += [line] if inside else []
    return "\n".join(kept) + "\n"


def test_a_second_run_changes_nothing(installed, checkout):
    before = listing(installed)
    done = install("--destdir", installed, checkout)
    assert (done.returncode, done.stdout) == (0, "nothing to do: all is there\n")
    assert listing(installed) == before


def test_secrets_are_for_root_alone_and_are_never_written_again(installed, checkout):
    secrets = installed / "etc/deribit-lake/environment"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    secrets.write_text("DERIBIT_LAKE_DSN=mine\n", encoding="utf-8")
    install("--destdir", installed, checkout)
    assert secrets.read_text(encoding="utf-8") == "DERIBIT_LAKE_DSN=mine\n"


def test_settings_are_never_written_again(installed, checkout):
    settings = installed / "etc/deribit-lake/deribit-lake.toml"
    settings.write_text("connections = 8\n", encoding="utf-8")
    install("--destdir", installed, checkout)
    assert settings.read_text(encoding="utf-8") == "connections = 8\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
@pytest.mark.parametrize(
    ("folder", "mode"),
    [("lib", 0o755), ("lib/deribit-lake/lake", 0o755), ("cache", 0o750), ("log", 0o750)],
)
def test_data_belong_to_the_collector(installed, folder, mode):
    name = folder if "/" in folder else f"{folder}/deribit-lake"
    info = (installed / "var" / name).stat()
    user = (installed / "etc/passwd").read_text(encoding="utf-8").split(":")
    assert user[0] == "deribit-lake"
    assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (int(user[2]), mode)


def test_the_program_belongs_to_whoever_installed_it(installed):
    owners = {path.lstat().st_uid for path in below(installed, PROGRAM).rglob("*")}
    assert owners == {os.geteuid()}


def test_a_changed_program_becomes_the_current_release_and_the_last_one_stays(installed, checkout):
    program = below(installed, PROGRAM)
    first = (program / "current").readlink()
    for text in ("'second'", "'third'"):
        (checkout / "cli.py").write_text(f"def main():\n    print({text})\n", encoding="utf-8")
        install("--destdir", installed, checkout)
    run = [program / "current/bin/deribit-lake"]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "third\n"
    assert len(list((program / "releases").iterdir())) == 2
    assert not (program / first).exists()


def test_a_build_that_fails_leaves_the_current_release(installed, checkout):
    program = below(installed, PROGRAM)
    before = (program / "current").readlink()
    (checkout / "cli.py").write_text("raise RuntimeError\n", encoding="utf-8")
    assert install("--destdir", installed, checkout).returncode != 0
    assert (program / "current").readlink() == before


def test_a_build_that_was_stopped_is_made_anew(installed, checkout):
    program = below(installed, PROGRAM)
    (program / "current/complete").unlink()
    assert install("--destdir", installed, checkout).returncode == 0
    assert (program / "current/complete").exists()


def test_another_prefix_is_what_unit_and_command_say(checkout, tmp_path):
    root = tmp_path / "other"
    install("--destdir", root, "--prefix", "/srv/lake", checkout)
    unit = (root / "etc/systemd/system/deribit-lake-collect.service").read_text(encoding="utf-8")
    assert "ExecStart=/srv/lake/current/bin/deribit-lake " in unit
    assert "program=/srv/lake/current/bin/" in (root / "usr/local/bin/deribit-lake").read_text()
    assert (root / "srv/lake/current/bin/deribit-lake").exists()


def test_a_dry_run_says_everything_and_does_nothing(checkout, tmp_path):
    root = tmp_path / "dry"
    done = install("--destdir", root, "--dry-run", checkout)
    assert (done.returncode, root.exists()) == (0, False)
    assert {line.partition(": ")[0] for line in done.stdout.splitlines()} == {"would"}
    assert "would: file /etc/deribit-lake/environment" in done.stdout


def test_uninstalling_keeps_data_settings_and_what_others_put_there(installed):
    (installed / "var/lib/deribit-lake/lake/row").touch()
    (below(installed, PROGRAM) / "notes").touch()
    done = install("--destdir", installed, "--uninstall")
    left = {str(path) for path in listing(installed)}
    assert done.returncode == 0
    assert not any(path.endswith((".service", "bin/deribit-lake")) for path in left)
    assert {"var/lib/deribit-lake/lake/row", "etc/deribit-lake/environment"} < left
    assert (below(installed, PROGRAM) / "notes").exists()


def test_an_uninstall_twice_changes_nothing(installed):
    install("--destdir", installed, "--uninstall")
    before = listing(installed)
    assert install("--destdir", installed, "--uninstall").returncode == 0
    assert listing(installed) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--destdir", "here"], "--destdir here: expected an absolute path"),
        (["--prefix"], "--prefix expects a value"),
        (["--frobnicate"], "unknown option --frobnicate; --help lists them"),
        (["--destdir", "/tmp/x", "nowhere"], "nowhere: expected a checkout, a wheel or"),  # noqa: S108  never made
        (["--destdir", "/tmp/x", "a", "b"], "one SOURCE expected, got a and b"),  # noqa: S108  never made
    ],
)
def test_bad_input_is_one_line(options, message):
    done = install(*options)
    assert done.returncode == 1
    assert done.stderr.startswith(f"install.sh: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_others_than_root_are_told_so_in_one_line():
    with tempfile.TemporaryDirectory() as name:  # tmp_path is closed to others
        Path(name).chmod(0o755)
        script = shutil.copy(INSTALL, name)
        command = ["setpriv", "--reuid=65534", "--clear-groups", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "install.sh: run as nobody, expected root (or --destdir DIR)\n"


def test_the_help_names_every_option():
    told = install("--help").stdout
    for option in ("--prefix", "--destdir", "--python", "--dry-run", "--uninstall"):
        assert f"  {option} " in told


def test_the_installed_settings_are_fresh():
    assert pages.INSTALLED.read_text(encoding="utf-8") == pages.installed_settings(), "`just docs`"


def test_the_installed_settings_change_folders_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changed = load_settings(pages.INSTALLED).model_dump()
    default = Settings().model_dump()
    assert {name for name in default if changed[name] != default[name]} == set(pages.FOLDERS)


def test_every_commented_setting_is_the_default(tmp_path):
    """Uncommented they are still all understood, and say what holds anyway."""
    lines = pages.INSTALLED.read_text(encoding="utf-8").splitlines()
    said = [
        line for line in lines[2:] if not re.search(r'= "?…|^# \[', line)
    ]  # not what has no default
    told = [line.removeprefix("# ") for line in said]
    file = tmp_path / "all.toml"
    file.write_text("\n".join(told), encoding="utf-8")
    assert load_settings(file).model_dump() == load_settings(pages.INSTALLED).model_dump()
    file.write_text("\n".join(["no_such = 1", *told]), encoding="utf-8")
    with pytest.raises(UsageError, match="no_such"):
        load_settings(file)


@pytest.mark.parametrize("script", ["install.sh", "command.sh"])
def test_shellcheck_finds_nothing(script):
    needed("shellcheck", "shellcheck")
    command = ["shellcheck", ROOT / "deploy" / script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_program_itself_is_installed_and_starts(tmp_path, installer):
    path = os.environ["PATH"] if installer == "uv" else "/usr/sbin:/usr/bin:/sbin:/bin"
    done = install("--destdir", tmp_path, "--python", sys.executable, PATH=path)
    assert done.returncode == 0, done.stderr
    command = below(tmp_path, PROGRAM) / "current/bin/deribit-lake"
    said = subprocess.run([command, "collect", "--help"], capture_output=True, check=False)
    assert said.returncode == 0
    again = install("--destdir", tmp_path, "--python", sys.executable, PATH=path)
    assert again.stdout == "nothing to do: all is there\n"
