"""JSON-RPC 2.0 as Deribit speaks it over HTTP: calls in, envelopes out."""

from dataclasses import dataclass, replace
from typing import Any

import orjson
from starlette.requests import Request

from tests.exchange.errors import ApiError

MOST_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a method, its named parameters, and the caller's id (None if it gave none)."""

    method: str
    params: dict[str, Any]
    id: Any = None
    is_history: bool = False


async def read_call(request: Request) -> Call:
    """Return the call of a GET query string or a POST body."""
    path = request.path_params.get("method", "")
    is_history = request.url.path.startswith("/history/")
    if request.method == "GET":
        params = dict(request.query_params)
        given = params.pop("id", None)
        number = int(given) if given and given.lstrip("-").isdecimal() else given
        return Call(path, params, number, is_history)
    return replace(_parse(await request.body(), path), is_history=is_history)


def envelope(call: Call, answer: dict[str, Any], *, us_in: int, us_out: int) -> bytes:
    """Return the JSON of a reply; `answer` holds either `result` or `error`."""
    head = {"jsonrpc": "2.0"} if call.id is None else {"jsonrpc": "2.0", "id": call.id}
    times = {"usIn": us_in, "usOut": us_out, "usDiff": us_out - us_in, "testnet": False}
    return orjson.dumps({**head, **answer, **times}, option=orjson.OPT_SERIALIZE_NUMPY)


def _parse(body: bytes, path: str) -> Call:
    if len(body) > MOST_BYTES:
        raise ApiError(-32600)
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ApiError(-32700) from None
    if not isinstance(message, dict):
        raise ApiError(-32602, "a call is one JSON object; batches are not supported")
    params = message.get("params") or {}
    if not isinstance(params, dict):
        raise ApiError(-32602, "parameters go by name", "params")
    return Call(str(message.get("method", path)), params, message.get("id"))
