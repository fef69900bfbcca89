from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="comes with uvicorn[standard], to those who develop")
FILE = Path(__file__).parents[2] / "deploy" / "compose.yaml"


@pytest.fixture
def database():
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]["database"]


def test_the_image_is_pinned_to_a_version(database):
    name, _, tag = database["image"].partition(":")
    assert (name, tag.count(".")) == ("timescale/timescaledb", 2)


def test_only_this_machine_reaches_the_database(database):
    assert database["ports"] == ["127.0.0.1:5432:5432"]


def test_the_password_comes_from_a_file_that_git_ignores(database):
    assert database["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/password"
    assert "POSTGRES_PASSWORD" not in database["environment"]
    assert "/deploy/password" in (FILE.parents[1] / ".gitignore").read_text().splitlines()


def test_data_outlive_the_container(database):
    assert database["volumes"] == ["data:/var/lib/postgresql/data"]


def test_others_wait_until_it_answers_over_tcp(database):
    assert database["healthcheck"]["test"][:3] == ["CMD", "pg_isready", "--host=127.0.0.1"]


def test_its_log_has_a_limit(database):
    assert database["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
