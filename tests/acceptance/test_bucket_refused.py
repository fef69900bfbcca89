"""What a bucket, its store or its keys cannot do is one line, no traceback, and no secret in it."""

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.acceptance.in_bucket import bucketed, last_line, put
from tests.acceptance.in_process import InProcess
from tests.exchange.running import running
from tests.objects.server import KEYS, READER, STRANGER

WORDS = ("backfill", "perpetuals", "--instruments", "BTC-PERPETUAL", "--start", "2025-10-17")
MISTYPED = {**KEYS, "AWS_SECRET_ACCESS_KEY": "swordfish-of-another"}
EXPIRED = (
    b"<Error><Code>ExpiredToken</Code><Message>The token has expired: tok-en</Message></Error>"
)


@pytest.fixture(scope="module")
def exchange():
    with running() as exchange:
        yield exchange


@pytest.fixture
def refused(exchange, tmp_path):
    """Return the one line a backfill into a bucket ends with."""

    def run(address, store, keys=KEYS, words=WORDS, **settings):
        told = {"address": address, "store": store, "keys": keys, **settings}
        done = InProcess(bucketed(tmp_path / "lake", exchange.url, **told)).run(*words)
        assert done.returncode in {1, 2}, done.stdout
        assert "Traceback" not in done.stderr
        assert not any(secret in done.stderr for secret in (*keys.values(), "tok-en"))
        return last_line(done)

    return run


def test_a_bucket_that_is_not_there_is_named(refused, object_server):
    line = refused("s3://no-such-bucket/lake", object_server.s3)

    assert line == (
        "error: s3://no-such-bucket/lake refuses: NoSuchBucket; make the bucket first, or correct "
        "its name or s3.endpoint"
    )


@pytest.mark.parametrize("keys", [STRANGER, MISTYPED])
def test_keys_that_nobody_knows_are_refused(refused, object_server, keys):
    line = refused(f"s3://{object_server.bucket()}", object_server.s3, keys)

    assert line.endswith("expected a valid AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")


def test_a_key_that_may_only_read_is_refused(refused, object_server):
    bucket = object_server.bucket()

    line = refused(f"s3://{bucket}", object_server.s3, READER)

    assert "AccessDenied; expected keys that may list, read, write and delete" in line
    assert object_server.objects(bucket) == []


def test_a_session_token_that_has_expired_is_said_to_have(refused):
    with answering(400, EXPIRED) as address:
        line = refused("s3://bucket", address, {**KEYS, "AWS_SESSION_TOKEN": "tok-en"})

    assert line.endswith("the session token has expired: expected a new one in AWS_SESSION_TOKEN")


@pytest.mark.parametrize("address", ["s3://", "s3:///lake", "s3://key:secret@bucket/lake"])
def test_an_address_of_no_bucket_is_refused_before_anything_is_asked(refused, address):
    line = refused(address, "http://127.0.0.1:1")

    assert "expected s3://bucket/prefix" in line


def test_a_store_nobody_listens_at_cannot_be_reached(refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    line = refused("s3://bucket/lake", f"http://127.0.0.1:{port}")

    assert line.startswith("error: s3://bucket/lake cannot be reached (")
    assert "nothing published was changed" in line


@pytest.mark.slow
def test_a_store_that_takes_connections_and_never_answers_is_given_up(refused):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = refused("s3://bucket/lake", f"http://127.0.0.1:{silent.getsockname()[1]}")

    assert line.startswith("error: s3://bucket/lake cannot be reached (")


@pytest.mark.parametrize("words", [WORDS, ("status",), ("compute",), ("collect",)])
def test_a_lake_of_a_newer_version_is_left_alone(refused, object_server, words):
    bucket = object_server.bucket()
    put(object_server, bucket, "lake/lake.json", '{"format": 99}')

    line = refused(f"s3://{bucket}/lake", object_server.s3, words=words)

    assert f"s3://{bucket}/lake has format 99, written by a newer deribit-lake" in line
    assert object_server.objects(bucket) == ["lake/lake.json"]


def test_a_lake_of_an_older_version_was_never_in_a_bucket(refused, object_server):
    bucket = object_server.bucket()
    put(object_server, bucket, "lake/lake.json", '{"format": 3}')

    line = refused(f"s3://{bucket}/lake", object_server.s3)

    assert f"s3://{bucket}/lake has format 3, and no lake in a bucket is of one before 4" in line
    assert object_server.objects(bucket) == ["lake/lake.json"]


@contextmanager
def answering(status, body):
    """Yield the address of a server that answers each request so."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
