import tomllib
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="comes with uvicorn[standard], to those who develop")
ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
CLUSTER = FILE.parent / "cluster" / "compose.yaml"
ALONE = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = PROJECT["project"]["version"]
PACKED = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]


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


@pytest.fixture
def services():
    return yaml.safe_load(CLUSTER.read_text(encoding="utf-8"))["services"]


def test_the_cluster_has_one_image_one_lake_and_one_environment(services):
    assert set(services) == {"scheduler", "worker", "compute"}
    for name in ("image", "build", "volumes", "environment", "user"):
        assert len({str(service[name]) for service in services.values()}) == 1
    assert services["worker"]["image"].endswith(f":{VERSION}")


def test_a_worker_computes_on_one_thread(services):
    worker = services["worker"]
    assert "--nthreads 1" in worker["command"]
    assert {worker["environment"][name] for name in ALONE} == {"1"}


def test_keys_of_a_store_are_passed_on_and_not_written_down(services):
    environment = services["worker"]["environment"]
    keys = [name for name in environment if name.startswith("AWS_")]
    assert "AWS_SECRET_ACCESS_KEY" in keys
    assert {environment[name] for name in keys} == {None}


def test_only_this_machine_reaches_the_scheduler_and_nobody_a_worker(services):
    assert services["scheduler"]["ports"] == ["127.0.0.1:8786:8786"]
    assert "ports" not in services["worker"]


def test_the_image_has_what_is_packed():
    copied = {
        name
        for line in (CLUSTER.parent / "Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("COPY")
        for name in line.split()[1:-1]
    }
    assert copied >= {*PACKED, "pyproject.toml", "README.md", "LICENSE", "requirements.lock"}
    assert all((ROOT / name).exists() for name in copied)
