"""A store that does not heed conditions of a put, as there are: it keeps objects in memory."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

CREATES, REPLACES = "If-None-Match", "If-Match"


class Heedless(ThreadingHTTPServer):
    """The store; it heeds the conditions named alone, and may know no others or ahead of time."""

    def __init__(self, heeded, *, refuses="", ahead_s=0.0):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.heeded, self.refuses, self.ahead_s = heeded, refuses, ahead_s

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Heedless

    def log_message(self, *_):
        """Say nothing."""

    def date_time_string(self, timestamp=None):
        del timestamp
        return formatdate(self._now(), usegmt=True)

    def _now(self):
        return time.time() + self.server.ahead_s

    @property
    def key(self):
        return unquote(urlsplit(self.path).path).lstrip("/")

    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        told = [name for name in (CREATES, REPLACES) if name in self.headers]
        if self.server.refuses and told:
            self.answer(400, f"<Error><Code>{self.server.refuses}</Code></Error>".encode())
        elif any(self.fails(name) for name in told if name in self.server.heeded):
            self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self.server.objects[self.key] = data
            self.answer(200, etag=tag(data))

    def fails(self, condition):
        if condition == CREATES:
            return self.key in self.server.objects
        return self.headers[REPLACES] != tag(self.server.objects.get(self.key, b""))

    def do_GET(self):
        if self.key in self.server.objects:
            data = self.server.objects[self.key]
            self.answer(200, data, tag(data))
        elif "list-type" in parse_qs(urlsplit(self.path).query):
            self.answer(200, self.listed())
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_HEAD = do_GET  # noqa: N815  (so it is called)

    def listed(self):
        prefix = parse_qs(urlsplit(self.path).query).get("prefix", [""])[0]
        names = [key.partition("/")[2] for key in sorted(self.server.objects)]
        told = "".join(
            f"<Contents><Key>{name}</Key><Size>1</Size><ETag>x</ETag>"
            "<LastModified>2025-01-01T00:00:00.000Z</LastModified></Contents>"
            for name in names
            if name.startswith(prefix)
        )
        head = (
            "<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount>"
        )
        return f"{head}{told}</ListBucketResult>".encode()

    def do_POST(self):
        body = ET.fromstring(self.rfile.read(int(self.headers["Content-Length"])))  # noqa: S314
        bucket = self.key.partition("/")[0]
        gone = [one.text for one in body.iter() if one.tag.rpartition("}")[2] == "Key"]
        for key in gone:
            self.server.objects.pop(f"{bucket}/{key}", None)
        told = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in gone)
        self.answer(200, f"<DeleteResult>{told}</DeleteResult>".encode())

    def answer(self, code, body=b"", etag=None):
        self.send_response(code)
        if etag is not None:
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", formatdate(self._now(), usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def tag(data):
    return f'"{hashlib.md5(data).hexdigest()}"'  # noqa: S324  (as S3 does)


@contextmanager
def heedless(*heeded, **told) -> Iterator[Heedless]:
    """Yield a store that heeds these conditions alone."""
    with Heedless(heeded, **told) as store:
        thread = threading.Thread(target=store.serve_forever)
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()
