"""What an answer amounts to: a result, a refusal, or nothing of the exchange at all."""

import re
from http import HTTPStatus
from typing import Annotated

import msgspec

from etl.deribit.download import Received
from etl.deribit.request import Request
from etl.errors import (
    DeribitError,
    EtlError,
    MaintenanceError,
    NoExchangeError,
    RateLimitedError,
    TransientError,
    UnavailableError,
)
from lake.raw import Attempt

OK = "ok"
TOO_MANY_REQUESTS = 10028
ROUTED = 11060  # not_supported_for_coinbase_routed_spot
REDIRECTS, CLIENT_ERRORS, SERVER_ERRORS = 300, 400, 500  # where these statuses begin
AWAY = {10019, 11051, 11056, 13025}  # locked, maintenance, switched off: it says when it is over
TRANSIENT = {10001, 10040, 10041, 10047, 10066, 11094, 13028, 13503, 13888}
_TITLE = re.compile(rb"<title[^>]*>\s*(.{1,80}?)\s*</title>", re.IGNORECASE | re.DOTALL)


class RpcError(msgspec.Struct):
    """The ``error`` member of an envelope."""

    code: int
    message: str = ""
    data: msgspec.Raw = msgspec.Raw()


class Reason(msgspec.Struct):
    """What ``error.data`` mostly is."""

    reason: str | None = None
    param: str | None = None

    def __str__(self) -> str:
        """Return it in words, as ``instrument not found (instrument_name)``."""
        param = f" ({self.param})" if self.param else ""
        return f"{self.reason}{param}" if self.reason else self.param or ""


Micros = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class Envelope(msgspec.Struct, rename={"us_in": "usIn", "us_out": "usOut"}):
    """What every answer is wrapped in; the result stays bytes until its shape is known."""

    result: msgspec.Raw = msgspec.Raw()
    error: RpcError | None = None
    us_in: Micros | None = None
    us_out: Micros | None = None


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_loosely = msgspec.json.Decoder(Envelope, strict=False).decode  # 1.76e15 is an integer too


def judge(
    request: Request, blank: Attempt, status: int, body: bytes, *, location: str | None = None
) -> tuple[Attempt, EtlError | None]:
    """Return the attempt with its outcome, and the error it amounts to, if any."""
    envelope, error = _read(request, blank.host, status, body, location)
    attempt = msgspec.structs.replace(
        blank,
        outcome=OK if error is None else str(error),
        http_status=status,
        us_in=envelope.us_in,
        us_out=envelope.us_out,
        body=body,
    )
    return attempt, error


def judge_received(
    request: Request, blank: Attempt, received: Received
) -> tuple[Attempt, EtlError | None]:
    """Return the same of an answer that may not have come whole."""
    status = received.status
    if received.fault and status < CLIENT_ERRORS:
        error = UnavailableError(f"{request.method}: HTTP {status}, {received.fault}")
        return msgspec.structs.replace(blank, outcome=str(error), http_status=status), error
    location = received.headers.get("location")
    return judge(request, blank, status, received.body, location=location)


def _read(
    request: Request, host: str, status: int, body: bytes, location: str | None
) -> tuple[Envelope, EtlError | None]:
    try:
        envelope = _envelope(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Envelope(), _stranger(request, host, status, body, location)
    if envelope.error is not None:
        return envelope, _refusal(request, status, envelope.error)
    if status >= REDIRECTS:  # with a result all the same: one of the two is not the exchange's
        return envelope, _stranger(request, host, status, body, location)
    try:
        request.check(envelope.result)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        message = f"{request.method}: HTTP {status} with an unexpected result: {error}"
        return envelope, UnavailableError(message)
    return envelope, None


def _envelope(body: bytes) -> Envelope:
    try:
        return _decode_envelope(body)
    except msgspec.ValidationError:
        return _decode_loosely(body)


def _is_envelope(body: bytes) -> bool:
    try:
        _envelope(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _refusal(request: Request, status: int, error: RpcError) -> EtlError:
    method, reason = request.method, reason_of(error.data)
    if error.code in AWAY and status != HTTPStatus.TOO_MANY_REQUESTS:
        return MaintenanceError(f"{method} was refused: {error.message} (code {error.code})")
    kind = TransientError if error.code in TRANSIENT else DeribitError
    if error.code == TOO_MANY_REQUESTS or status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = RateLimitedError
    if error.code == ROUTED:
        what = request.params.get("instrument_name", "it")
        reason = reason or f"{what} is traded on Coinbase, and Deribit has no candles of it"
    return kind(method, error.code, error.message, reason)


def reason_of(data: msgspec.Raw) -> str:
    """Return what an error says of its reason; nothing where it is null, or of another shape."""
    try:
        return str(msgspec.json.decode(data, type=Reason)) if bytes(data) else ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _stranger(
    request: Request, host: str, status: int, body: bytes, location: str | None
) -> EtlError:
    """Return what an answer without an envelope amounts to."""
    method = request.method
    told = f"{method}: HTTP {status} with {_shown(body)}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(method, status, f"HTTP {status} with {_shown(body)}")
    if status >= SERVER_ERRORS or status == HTTPStatus.METHOD_NOT_ALLOWED:
        return MaintenanceError(told)
    if REDIRECTS <= status < CLIENT_ERRORS:
        where, option = location or "nowhere", "--history-host" if request.on_history else "--host"
        return NoExchangeError(f"{host} answers with a redirect to {where}: set {option}")
    if status in {401, 403, 404}:
        return NoExchangeError(f"{host} lets nobody in, or is not the exchange: {told}")
    if body.lstrip()[:1] in {b"{", b"["}:
        return UnavailableError(told)
    return NoExchangeError(told)


def _shown(body: bytes) -> str:
    """Return some words on a body that is no envelope."""
    if not body.strip():
        return "an empty body"
    if title := _TITLE.search(body[:10_000]):
        return f"an HTML page titled {' '.join(title[1].decode(errors='replace').split())!r}"
    if _is_envelope(body):
        return "a result, which an answer of that status does not have"
    return f"no JSON-RPC envelope: {body[:60].decode(errors='replace').strip()!r}"
