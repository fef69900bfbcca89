import json
import os
from pathlib import Path

import pytest

from lake.paths import Lake
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.etl.mirror.test_copies import beside
from tests.objects.heedless import heedless
from tests.objects.server import KEYS, REGION

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def invoke(bucket, monkeypatch):
    """Return a function that runs a command on a lake: ``(exit code, stdout, stderr)``."""
    monkeypatch.setenv("DERIBIT_LAKE_S3__ENDPOINT", bucket.wire.address)
    monkeypatch.setenv("AWS_REGION", REGION)

    def run(root, *words):
        done = InProcess(Product(Path(root), NOWHERE)).run(*words)
        return done.returncode or 0, done.stdout, done.stderr

    return run


def error_of(outcome):
    code, _, err = outcome
    lines = [line for line in err.splitlines() if not line.startswith("20")]  # log lines aside
    assert code == 1
    assert len(lines) == 1, err
    return lines[0]


def test_a_lake_is_pushed_and_pulled_by_commands(invoke, lake, bucket, tmp_path):
    bucket.wire.requests.clear()
    code, out, _ = invoke(lake.root, "push", bucket.address, "--json")
    told = json.loads(out)
    assert (code, told["partitions"], told["raw_files"], told["unchanged"]) == (0, 4, 5, 0)
    assert told["bytes"] == sum(map(len, bucket.objects().values()))
    assert told["requests"] == len(bucket.wire.requests)

    code, out, _ = invoke(tmp_path / "back", "pull", bucket.address)
    assert code == 0
    assert out.startswith("4 partitions and 5 raw files went from s3://")
    assert beside(Lake(tmp_path / "back")) == beside(lake)


def test_nothing_is_pushed_to_a_store_whose_locks_would_not_hold(invoke, lake, bucket, monkeypatch):
    with heedless() as store:
        monkeypatch.setenv("DERIBIT_LAKE_S3__ENDPOINT", store.address)
        assert "two writers could hold one lock" in error_of(
            invoke(lake.root, "push", bucket.address)
        )
        assert store.objects == {}


def test_a_copy_to_read_from_is_refused_by_what_makes_rows(invoke, lake, bucket, tmp_path):
    bucket.push(lake)
    reader = tmp_path / "reader"
    assert invoke(reader, "pull", bucket.address, "--no-raw", "--dataset", "funding")[0] == 0

    code, out, _ = invoke(reader, "status")
    assert (code, out.count("a copy without raw, to read from")) == (4, 1)
    assert "nothing can be made in it" in error_of(invoke(reader, "replay"))
    assert invoke(reader, "query", "SELECT count(*) n FROM funding_rates", "--format", "csv")[
        :2
    ] == (0, "n\n3\n")
    assert invoke(reader, "verify")[0] == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["push", "backup/lake"], "expected s3://bucket/prefix, got 'backup/lake'"),
        (["pull", "s3://"], "expected s3://bucket/prefix, got 's3://'"),
        (
            ["push", "s3://b/lake", "--dataset", "funding"],
            "give --no-raw with --dataset or --since",
        ),
        (["pull", "s3://b/l", "--no-raw", "--since", "May"], "--since 'May' is not a date"),
        (["pull", "s3://b/l", "--no-raw", "--dataset", "gold"], "gold"),
    ],
)
def test_what_cannot_be_a_copy_is_refused_in_one_line(invoke, lake, words, error):
    assert error in error_of(invoke(lake.root, *words))


def test_a_lake_in_a_bucket_is_not_pushed(invoke, tmp_path):
    told = error_of(invoke(tmp_path, "--lake", "s3://a/lake", "push", "s3://b/lake"))

    assert "s3://a/lake lies in a bucket, and this needs a lake on this machine" in told


def test_wrong_keys_are_refused_and_not_shown(invoke, lake, bucket, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    address = f"{bucket.address}-{os.getpid()}"

    told = error_of(invoke(lake.root, "push", address))

    assert "refuses: SignatureDoesNotMatch" in told
    assert "sesame" not in told
    assert KEYS["AWS_ACCESS_KEY_ID"] not in told
