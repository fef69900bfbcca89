"""How many messages a second come of each kind, over the last minute."""

from collections import Counter, deque
from dataclasses import dataclass, field

from etl.collect.board import Board

EVERY_S, OVER_S = 5.0, 60.0
ALL = "all"


@dataclass(slots=True)
class Rates:
    """Counts of a board now and then, a minute back."""

    board: Board
    _seen: deque[tuple[float, Counter[str]]] = field(default_factory=deque)

    def note(self, clock_s: float) -> None:
        """Take the counts at a moment of a steady clock, unless it is too close to the last."""
        if self._seen and clock_s - self._seen[-1][0] < EVERY_S:
            return
        counts = Counter({ALL: self.board.counts["messages"]})
        for source in self.board.sources.values():
            counts[source.kind] += source.messages
        self._seen.append((clock_s, counts))
        while clock_s - self._seen[0][0] > OVER_S:
            self._seen.popleft()

    def per_second(self) -> dict[str, float]:
        """Return messages a second of each kind, and of all; none before there are two counts."""
        if len(self._seen) < 2:  # noqa: PLR2004  a rate is between two
            return {}
        (began_s, before), (ended_s, after) = self._seen[0], self._seen[-1]
        return {
            kind: max(0, count - before[kind]) / (ended_s - began_s)
            for kind, count in after.items()
        }
