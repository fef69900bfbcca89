"""One call to the exchange: what is asked, of which host, and how its answer is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from lake.span import Span
from lake.store.place import Place

ON_HISTORY = {
    "public/get_instrument", "public/get_instruments", "public/get_tradingview_chart_data",
    "public/get_last_trades_by_currency_and_time", "public/get_last_trades_by_instrument",
}  # fmt: skip
"""What the history host answers, of instruments long expired too."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call: what to ask, the interval it covers, where to stage it, how to judge it."""

    method: str
    params: dict[str, Any]
    window: Span
    folder: Place
    check: Callable[[msgspec.Raw], object]  # raises msgspec.ValidationError on a wrong shape
    on_history: bool = False  # asked of the history host
