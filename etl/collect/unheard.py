"""From when on trades may lack some: a candle that is made of them there may be half of one.

Trades tell of themselves alone, so that nobody sees in them that some were not heard. What a
connection missed is known when it ends, and made good when REST was asked for a stretch that
reaches to where it was heard again.
"""

from dataclasses import dataclass, field

SINCE_EVER_MS = 0


@dataclass(slots=True)
class Unheard:
    """The moments from which on trades may lack some, by currency [Unix ms].

    Attributes
    ----------
    since
        Of those that may.
    """

    since: dict[str, int] = field(default_factory=dict)
    _again: dict[str, int] = field(default_factory=dict)

    def hushed(self, currency: str, at_ms: int = SINCE_EVER_MS) -> None:
        """Take note that nothing of a currency is heard from a moment on."""
        self.since[currency] = min(at_ms, self.since.get(currency, at_ms))
        self._again.pop(currency, None)

    def heard_again(self, currency: str, at_ms: int) -> None:
        """Take note that it is heard again."""
        self._again[currency] = at_ms

    def looked(self, currency: str, until_ms: int) -> None:
        """Take note that REST told all there was until a moment."""
        if currency not in self.since:
            return
        again_ms = self._again.get(currency)
        if again_ms is not None and until_ms >= again_ms:
            del self.since[currency]
        else:
            self.since[currency] = max(self.since[currency], until_ms)
