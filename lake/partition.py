"""A partition: the unit that is locked, made and published."""

from dataclasses import dataclass

from lake.span import Span, period_span


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One dataset, one part of it, one period.

    The part is an instrument, an index, a currency or an underlying; the period ``2024``,
    ``2024-05``, ``2024-05-17`` or ``all``.
    """

    dataset: str
    part: str
    period: str

    def __post_init__(self) -> None:
        """Refuse a period that is none.

        Raises
        ------
        ValueError
            If it is no year, month or day, and not ``all``.
        """
        period_span(self.period)

    def __str__(self) -> str:
        """Return the words a message names the partition with."""
        words = (self.dataset, self.part, self.period)
        return " ".join(word for word in words if word != "all")

    @property
    def span(self) -> Span:
        """The stretch of time of its rows."""
        return period_span(self.period)
