"""Named parameters of a call, checked one by one, from a query string or a JSON body."""

from collections.abc import Collection, Mapping
from typing import Any

from tests.exchange.errors import ApiError

_TRUTHS = {"true": True, "false": False}
_REQUIRED = object()


class Params:
    """Parameters of one call; each method takes out what it knows, in the type it needs."""

    def __init__(self, values: Mapping[str, Any], *, is_history: bool = False) -> None:
        self._values = values
        self.is_history = is_history

    def text(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return a string, or a default of any kind."""
        value = self._value(name, default)
        if value is default:
            return value
        if not isinstance(value, str):
            raise ApiError(-32602, "must be a string", name)
        return value

    def one_of(self, name: str, allowed: Collection[str], default: Any = _REQUIRED) -> str:
        """Return one of the allowed strings; a JSON number counts as its digits."""
        value = self._value(name, default)
        if value is not default and str(value) not in allowed:
            raise ApiError(-32602, f"must be one of {', '.join(allowed)}", name)
        return value if value is default else str(value)

    def integer(self, name: str, default: Any = _REQUIRED) -> int:
        """Return an integer; a query string gives its digits."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ApiError(-32602, "must be an integer", name)
        try:
            return int(value)
        except ValueError:
            raise ApiError(-32602, "must be an integer", name) from None

    def optional(self, name: str) -> int | None:
        """Return an integer, or None if it was not given."""
        return None if self._values.get(name) is None else self.integer(name)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean; a query string gives ``true`` or ``false``."""
        value = self._value(name, default)
        value = _TRUTHS.get(value, value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise ApiError(-32602, "must be a boolean", name)
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of strings."""
        value = self._value(name, _REQUIRED)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ApiError(-32602, "must be a list of strings", name)
        return value

    def window(self) -> tuple[int, int]:
        """Return start_timestamp and end_timestamp [Unix ms]."""
        start, end = self.integer("start_timestamp"), self.integer("end_timestamp")
        if start > end:
            raise ApiError(11029, "start_timestamp is after end_timestamp", "start_timestamp")
        return start, end

    def _value(self, name: str, default: Any) -> Any:
        value = self._values.get(name, default)
        if value is _REQUIRED:
            raise ApiError(-32602, "value required", name)
        return value
