"""A Dask cluster that is there already: its workers are looked at, then tasks run on them.

A task reaches a worker as bytes, so that the scheduler, which reads all but those, needs none of
our code. Each task looks again where it has come to, since workers come and go.
"""

import logging
import pickle
import pkgutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from etl.errors import ClusterError, OtherBuildError, OtherLakeError, UsageError
from etl.workers import Watched
from lake.errors import LakeError
from lake.paths import Lake
from lake.token import has_token, token

if TYPE_CHECKING:
    from distributed import Client, Security

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger(__name__)

NAME = "deribit-lake"
SCHEMES = ("tcp", "tls")
BUILD = "etl.build:BUILD"
CONNECT_S = 10.0
WORKERS_S = 60.0
"""How long there may be no worker: some clusters start them when there is work."""
LOOK_S = 5.0
LOST_S = 120.0
"""How long a lock may outlive the worker that held it, where a file server keeps it."""
CHATTY = ("distributed", "distributed.client", "tornado", "tornado.application")


def checked(address: str) -> str:
    """Return the address of a scheduler.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        found = urlsplit(address)
        is_address = found.scheme in SCHEMES and bool(found.hostname) and bool(found.port)
    except ValueError:  # of the port
        is_address = False
    if not is_address or found.netloc != address.partition("://")[2]:
        shown = "***" if "@" in address else address  # a password may stand before it
        message = f"--cluster {shown}: expected tcp://HOST:PORT or tls://HOST:PORT"
        raise UsageError(message)
    return address


@contextmanager
def on_cluster(address: str, lake: Lake) -> Iterator[Executor]:
    """Return where to run work on the workers of a scheduler, all of which see the lake.

    Raises
    ------
    UsageError
        If it is no address, or Dask is not installed.
    ClusterError
        If it cannot be reached, has no worker or one that is not what is needed, or was lost.
    """
    checked(address)
    with _connected(address) as client, token(lake) as word:
        from distributed import KilledWorker  # noqa: PLC0415  (it is imported by now)

        from etl.build import BUILD as OURS  # noqa: PLC0415  (reads all our source)

        terms = Terms(OURS, lake, word)
        _look_at(client, address, terms)
        try:
            yield _Workers(client, address, terms)
        except CancelledError as error:
            raise _lost(address) from error
        except KilledWorker as error:
            message = (
                f"a task ended {error.allowed_failures + 1} workers of {address}, perhaps for want "
                "of memory: give each more (--memory-limit)"
            )
            raise ClusterError(message) from error
        except ImportError as error:
            message = f"a worker that came to {address} has no {_version(OURS)}: {error}"
            raise OtherBuildError(message) from error


@contextmanager
def _connected(address: str) -> "Iterator[Client]":
    try:
        from distributed import Client, Security  # noqa: PLC0415  (slow, and not everybody has it)
    except ImportError as error:
        message = "--cluster needs Dask: pip install 'deribit-lake[cluster]'"
        raise UsageError(message) from error
    security = Security()
    _check_tls(address, security)
    for name in CHATTY:  # each lost connection is a traceback to them
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions: what we say of them is more
        try:
            client = Client(
                address, timeout=CONNECT_S, security=security, set_as_default=False, name=NAME
            )
        except (OSError, RuntimeError, ValueError) as error:
            message = f"no Dask scheduler answers at {address}: {_first_line(error)}"
            raise ClusterError(message) from error
    with client:
        yield client


def _check_tls(address: str, security: "Security") -> None:
    """Accept an address that Dask's settings suffice for; of others it says no word, or too many.

    Raises
    ------
    UsageError
        If they do not.
    """
    is_tls = address.startswith("tls")
    if security.require_encryption and not is_tls:
        message = f"--cluster {address}: Dask's settings require TLS, expected tls://HOST:PORT"
        raise UsageError(message)
    try:
        context = security.get_connection_args("client")["ssl_context"] if is_tls else None
    except OSError as error:  # ssl's own, too
        message = f"--cluster {address}: Dask's settings name certificates of no use: {error}"
        raise UsageError(message) from error
    if is_tls and context is None:
        message = (
            f"--cluster {address}: TLS needs certificates, which Dask's settings name: "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, …__TLS__CLIENT__CERT, …__TLS__CLIENT__KEY"
        )
        raise UsageError(message)


@dataclass(frozen=True)
class Terms:
    """On which terms work is handed in: by what it may be done, and on which lake."""

    build: Mapping[str, str]
    lake: Lake
    word: str


def _look_at(client: "Client", address: str, terms: Terms) -> None:
    """Refuse workers that would compute other bytes, or publish them elsewhere."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
        builds = _answers(client, pkgutil.resolve_name, BUILD)
        for worker, build in builds.items():
            check_build(worker, build, terms.build)
        seen = _answers(client, has_token, terms.lake, terms.word)
    except TimeoutError as error:
        raise _idle(address) from error
    except OSError as error:
        raise _lost(address) from error
    for worker, found in seen.items():
        if found is not True:
            raise _other_lake(worker, terms.lake, found)
    logger.info("%s: %d workers", address, len(builds))


def _answers(client: "Client", fn: Callable[..., object], *args: object) -> dict[str, object]:
    """Return what a call returns or raises on each worker, but those that are lost meanwhile."""
    found = client.run(fn, *args, on_error="return")
    return {worker: said for worker, said in found.items() if not isinstance(said, OSError)}


def check_build(worker: str, build: object, ours: Mapping[str, str]) -> None:
    """Accept a worker that computes the bytes we would.

    Raises
    ------
    OtherBuildError
        If it does not; it names the worker, and both versions of what differs.
    """
    if not isinstance(build, dict):
        reason = _first_line(build) if isinstance(build, Exception) else repr(build)
        message = f"worker {worker} has no {_version(ours)}: {reason}"
        raise OtherBuildError(message)
    for name, wanted in ours.items():
        if (found := build.get(name, "none")) != wanted:
            message = f"worker {worker} has {name} {found}, and here it is {wanted}: "
            raise OtherBuildError(message + "results would not be the same bytes")


class Work:
    """A call that is made where it is read, on its terms."""

    def __init__(self, terms: Terms, call: Callable[[], object]) -> None:
        self.terms, self.call = terms, call

    def __reduce__(self) -> tuple[Any, ...]:
        """Say what to call where it is read."""
        return run_here, (self.terms, self.call)


def run_here(terms: Terms, call: Callable[[], T]) -> T:
    """Make a call on this worker, if it is still what was looked at.

    Raises
    ------
    OtherBuildError, OtherLakeError
        If it is not.
    """
    from distributed import get_worker  # noqa: PLC0415  (as above)

    worker = get_worker().address
    check_build(worker, pkgutil.resolve_name(BUILD), terms.build)
    try:
        found: object = has_token(terms.lake, terms.word)
    except LakeError as error:
        found = error
    if found is not True:
        raise _other_lake(worker, terms.lake, found)
    return call()


class _Workers(Watched):
    """Runs work on the workers of a cluster."""

    def __init__(self, client: "Client", address: str, terms: Terms) -> None:
        self._client, self._address, self._terms = client, address, terms
        self._pool = client.get_executor(pure=False)  # else a call that failed is not made again
        self._known: set[str] = set()
        self._seen_at = self._looked_at = time.monotonic()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return the future of a call that some worker makes."""
        work = pickle.dumps(Work(self._terms, partial(fn, *args, **kwargs)))
        self._seen_at = time.monotonic()
        if self._client.status == "closed":
            raise _lost(self._address)
        future: Future[T] = self._pool.submit(pickle.loads, work)
        return future

    def watch(self) -> None:
        """Say which workers have left.

        Raises
        ------
        ClusterError
            If there has been none for a while.
        """
        now = time.monotonic()
        if now < self._looked_at + LOOK_S or self._client.status != "running":
            return
        self._looked_at = now
        there = set(self._client.scheduler_info()["workers"])
        for worker in sorted(self._known - there):
            logger.warning("worker %s has left: others do what it was doing", worker)
        self._known = there
        if there:
            self._seen_at = now
        elif now > self._seen_at + WORKERS_S:
            raise _idle(self._address)


def _other_lake(worker: str, lake: Lake, found: object) -> OtherLakeError:
    """Return what to say of a worker that found no token, or an error when it looked."""
    seen = f"worker {worker} does not see the lake at {lake.root}"
    if isinstance(found, LakeError):
        return OtherLakeError(f"{seen}: {_first_line(found)}")
    return OtherLakeError(f"{seen}: all workers have to reach it, by the same path")


def _idle(address: str) -> ClusterError:
    return ClusterError(f"no worker has come to {address} in {WORKERS_S:.0f} s")


def _lost(address: str) -> ClusterError:
    return ClusterError(
        f"the scheduler at {address} is gone: what was published stays; run the same command again"
    )


def _version(build: Mapping[str, str]) -> str:
    return f"deribit-lake {build['deribit-lake']}"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]
