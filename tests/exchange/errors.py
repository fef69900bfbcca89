"""Errors as Deribit sends them: a code, a message, and mostly a reason; HTTP status 400.

ApiError
    a JSON-RPC error, raised by a method and put into the envelope by the server
"""

from typing import Any

MESSAGES = {
    -32700: "Parse error",
    -32602: "Invalid params",
    -32601: "Method not found",
    -32600: "request entity too large",
    10028: "too_many_requests",
    10031: "invalid_args_for_instrument",
    10041: "settlement_in_progress",
    11029: "invalid_arguments",
    11050: "bad_request",
    11051: "system_maintenance",
    11060: "not_supported_for_coinbase_routed_spot",
    11094: "internal_server_error",
    13009: "unauthorized",
    13019: "orderbook_closed",
    13020: "not_found",
    13778: "raw_subscriptions_not_available_for_unauthorized",
}


class ApiError(Exception):
    """A JSON-RPC error; `data` tells the reason and the parameter at fault."""

    def __init__(
        self,
        code: int,
        reason: str | None = None,
        param: str | None = None,
        *,
        http_status: int = 400,
    ) -> None:
        super().__init__(code, MESSAGES[code], reason, param)
        self.code = code
        self.http_status = http_status
        told = {"reason": reason, "param": param}
        self.data: dict[str, str] = {name: text for name, text in told.items() if text}

    def body(self) -> dict[str, Any]:
        """Return the `error` member of the envelope."""
        body: dict[str, Any] = {"code": self.code, "message": MESSAGES[self.code]}
        return body | {"data": self.data} if self.data else body
