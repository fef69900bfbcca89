"""What stale sources have in common, so that one cause rings one alarm.

The cause is looked for from wide to narrow: all the exchange, one socket, one kind, one source. It
is the widest that has gone quiet as a whole. Quiet is more than stale: a socket that dies is seen
first by the source of the shortest limit, and nothing else on it has told of anything newer.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from etl.collect.board import Alarm, Board, Key, Source

CALM_MS = 300_000
TOLD_FOR_MS = 600_000
MANY = 10
"""Of a kind: so many stale sources are one cause, though others of it speak."""
MAINTENANCE, EVERYTHING = "maintenance", "everything"


def calm_ms(source: Source) -> int:
    """Return how long a source must be fresh to be believed [ms].

    Longer than its limit, so that data which always come a little late ring once, not each time.
    """
    return min(source.limit_ms * 5 // 4, CALM_MS)


@dataclass(slots=True)
class Causes:
    """Which stale source is put down to which cause.

    Attributes
    ----------
    of
        Cause of each source that is stale, or was and is not calm yet.
    scopes
        All sources each cause could silence, as of the last look that found any of them silent.
    """

    board: Board
    of: dict[Key, str] = field(default_factory=dict)
    scopes: dict[str, list[Source]] = field(default_factory=dict)
    _fresh_since: dict[Key, int] = field(default_factory=dict)
    _mostly_fresh_since: dict[str, int] = field(default_factory=dict)
    _maintenance_since_ms: int | None = None
    _maintenance_until_ms: int | None = None

    def look(self, now_ms: int) -> Mapping[str, list[Source]]:
        """Return the sources of each cause, those of the shortest limit first."""
        stale = self.board.stale(now_ms)
        self._follow_maintenance(len(stale), now_ms)
        if not (stale or self.of):
            return {}
        self.scopes = _scopes(self.board)
        self._let_go(now_ms)
        self._dissolve(now_ms)
        known, many = set(self.of.values()), Counter(one.kind for one in stale)
        for source in sorted(stale, key=lambda one: one.silent_since_ms):
            if source.key not in self.of:
                cause = self._joined(source, known, now_ms) or self._own(source, many, now_ms)
                self.of[source.key] = cause
                known.add(cause)
        found: dict[str, list[Source]] = {}
        for source in sorted(map(self.board.sources.__getitem__, self.of), key=_by_limit):
            found.setdefault(self.of[source.key], []).append(source)
        return found

    def _follow_maintenance(self, stale: int, now_ms: int) -> None:
        """Note that it lasts; it is over when most sources speak though it was told for long.

        The exchange tells when one begins, and not always when it ends.
        """
        if not self.board.maintenance:
            self._maintenance_since_ms = None
            return
        self._maintenance_until_ms = now_ms
        since_ms = self._maintenance_since_ms = self._maintenance_since_ms or now_ms
        watched = sum(one.limit_ms > 0 for one in self.board.sources.values())
        if now_ms - since_ms > TOLD_FOR_MS and 2 * stale < watched:
            self.board.maintenance = False

    def _let_go(self, now_ms: int) -> None:
        """Drop sources that are watched no more or calm, and those maintenance explains no more."""
        for key in list(self.of):
            source = self.board.sources.get(key)
            if source is None or self._is_calm(source, now_ms) or self._is_left(source, now_ms):
                self._drop(key)

    def _drop(self, key: Key) -> None:
        del self.of[key]
        self._fresh_since.pop(key, None)

    def _is_calm(self, source: Source, now_ms: int) -> bool:
        if source.is_stale(now_ms):
            self._fresh_since.pop(source.key, None)
            return False
        return now_ms - self._fresh_since.setdefault(source.key, now_ms) >= calm_ms(source)

    def _is_left(self, source: Source, now_ms: int) -> bool:
        """Whether maintenance silenced it, ended long enough ago, and it is still stale."""
        is_put_down = self.of[source.key] == MAINTENANCE and source.is_stale(now_ms)
        return is_put_down and not self._is_excused(source, now_ms)

    def _is_excused(self, source: Source, now_ms: int) -> bool:
        """Whether the exchange is down, or came back less than this source's limit ago."""
        until_ms = self._maintenance_until_ms
        return until_ms is not None and now_ms - until_ms <= source.limit_ms

    def _dissolve(self, now_ms: int) -> None:
        """Give up a common cause when most it silenced speak again: what is left has its own."""
        for name in set(self.of.values()) - {MAINTENANCE}:
            scope, alarm = self.scopes.get(name, []), self.board.alarms.get(name)
            mute = sum(one.is_stale(now_ms) or _is_mute(one, alarm) for one in scope)
            if len(scope) < 2 or 2 * mute >= len(scope):  # noqa: PLR2004  half of them
                self._mostly_fresh_since.pop(name, None)
            elif now_ms - self._mostly_fresh_since.setdefault(name, now_ms) >= CALM_MS:
                self._mostly_fresh_since.pop(name)
                for key in [key for key, cause in self.of.items() if cause == name]:
                    self._drop(key)

    def _joined(self, source: Source, known: Collection[str], now_ms: int) -> str | None:
        """Return the cause that others were put down to, if it can be this source's, too."""
        if self.board.maintenance:
            return MAINTENANCE
        names, ringing = _names(source), self.board.alarms
        for name in (MAINTENANCE, *names) if self._is_excused(source, now_ms) else names:
            if name in known and _is_mute(source, ringing.get(name)):
                return name
        return None

    def _own(self, source: Source, stale: Mapping[str, int], now_ms: int) -> str:
        """Return the widest that has gone quiet as a whole, or of a kind in great number."""
        names = _names(source)
        for name in names:
            peers = self.scopes[name]
            if len(peers) > 1 and all(_is_quiet(one, source, now_ms) for one in peers):
                return name
        return source.kind if stale[source.kind] >= MANY else names[-1]


def _scopes(board: Board) -> dict[str, list[Source]]:
    """Return the sources with a limit that each cause would silence."""
    found: dict[str, list[Source]] = {}
    for source in board.sources.values():
        if source.limit_ms:
            for name in (MAINTENANCE, *_names(source)):
                found.setdefault(name, []).append(source)
    return found


def _names(source: Source) -> tuple[str, ...]:
    """Return the causes that can silence a source, the widest first."""
    socket = (f"socket {source.line}",) if source.line else ()
    return (EVERYTHING, *socket, source.kind, f"{source.kind} {source.subject}")


def _is_mute(source: Source, alarm: Alarm | None) -> bool:
    """Whether a source has told of nothing since an alarm rang, or the alarm is about to ring."""
    return alarm is None or source.silent_since_ms <= alarm.rung_ms


def _is_quiet(source: Source, stale: Source, now_ms: int) -> bool:
    """Whether a source tells of nothing newer than a stale one, or has half its own limit behind.

    By a third of its limit a source may lag: what a candle tells of is where its minute began.
    """
    return (
        source.newest_ms is None
        or source.newest_ms <= stale.silent_since_ms + stale.limit_ms // 3
        or 2 * source.age_ms(now_ms) > source.limit_ms
    )


def _by_limit(source: Source) -> tuple[int, str, str]:
    return source.limit_ms, source.kind, source.subject
