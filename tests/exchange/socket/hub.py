"""Who is subscribed to what, and the loop that sends: what happened since it woke last."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.exchange.market import Market
from tests.exchange.socket.channels import Channels
from tests.exchange.socket.feed import STEPS_MS
from tests.exchange.socket.frames import frame, notifications
from tests.exchange.socket.quotes import ReplayedTicker
from tests.exchange.socket.replay import SECOND_MS, Replay
from tests.exchange.socket.strikes import Strike

if TYPE_CHECKING:
    from tests.exchange.server import Exchange
    from tests.exchange.socket.board import Board
    from tests.exchange.socket.session import Session

WAKE_S = 0.05
LEAST_SLICE_MS = 1_000
SLOW_PATIENCE_S = 30.0  # real: it has much to read before it comes to what it is told
TOO_SLOW = b'{"jsonrpc":"2.0","method":"connection_too_slow"}'


class Hub:
    """The open sockets of an exchange and their channels."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self.strikes = exchange.strikes
        self._slice_ms = max(LEAST_SLICE_MS, round(2_000 * WAKE_S * exchange.clock.speed))
        self.channels = Channels(
            exchange.market,
            self.strikes.maintenance,
            is_replay=exchange.has_replayed_tickers,
            held_moments=self._slice_ms // STEPS_MS["100ms"] + 2,
        )
        self.sessions: set[Session] = set()
        self._subscribers: dict[str, dict[Session, None]] = {}
        self._replays: dict[Session, dict[tuple[Board, int], Replay]] = {}
        self._until_ms = exchange.now_us() // 1000
        self.count_opened = self.count_slow = 0
        self.count_closed: Counter[str] = Counter()
        self.count_sent: Counter[str] = Counter()

    def stats(self) -> dict[str, Any]:
        """Return what happened on sockets so far."""
        return {
            "open": len(self.sessions),
            "opened": self.count_opened,
            "too_slow": self.count_slow,
            "closed": dict(self.count_closed),
            "sent": dict(self.count_sent),
            "strikes": self.strikes.done,
            "behind_ms": self._exchange.now_us() // 1000 - self._until_ms,
        }

    def opened(self, session: "Session") -> int:
        """Count a socket in, and return its number."""
        self.sessions.add(session)
        self.count_opened += 1
        return self.count_opened

    def closed(self, session: "Session", reason: str) -> None:
        """Count a socket out, and end its subscriptions."""
        for name in list(session.channels):
            self.unsubscribed(session, name)
        self.sessions.discard(session)
        self._replays.pop(session, None)
        self.count_closed[reason] += 1

    def welcome(self, session: "Session", names: list[str]) -> None:
        """Subscribe a client to channels, and send what each begins with."""
        market = self._exchange.market.at(self._until_ms)
        for name in names:
            if name in session.channels:
                continue  # a second subscription brings no second snapshot
            session.channels[name] = None
            feed = self.channels.made(name)
            if isinstance(feed, ReplayedTicker) and not session.line.is_compressed:
                self._replay(session, feed).add(name, feed)
            else:
                self._subscribers.setdefault(name, {})[session] = None
            self._send(name, feed.first(market), [session])
        session.watch_idleness()

    def unsubscribed(self, session: "Session", name: str) -> None:
        """End a subscription."""
        session.channels.pop(name, None)
        feed = self.channels.made(name)
        if isinstance(feed, ReplayedTicker):
            self._replay(session, feed).remove(name)
        left = self._subscribers.get(name, {})
        left.pop(session, None)
        if not left:
            self._subscribers.pop(name, None)

    def _replay(self, session: "Session", feed: ReplayedTicker) -> Replay:
        replays = self._replays.setdefault(session, {})
        at = feed.board, feed.step_ms
        if at not in replays:
            held_seconds = self._slice_ms // SECOND_MS + 2
            replays[at] = Replay(feed.board, feed.step_ms, held_seconds)
        return replays[at]

    def strike(self, strike: Strike, *, asked: bool = False) -> None:
        """Let something go wrong: with whom it names, or with one that its number chooses."""
        if strike.do in {"freeze", "stale"} and strike.channel is None:
            names = sorted(self._subscribers)
            if not names:
                return
            strike = replace(strike, channel=names[strike.draw % len(names)])
        struck = self._struck(strike, is_all=asked or strike.do == "maintenance")
        if strike.do == "maintenance" and asked:
            self.strikes.maintenance.append((strike.at_ms, strike.until_ms))
            return  # it is said first; the next wakes cut
        if not struck and strike.do in {"cut", "silence"}:
            return
        self.strikes.record(strike, len(struck))
        for session in struck:
            if strike.do in {"cut", "maintenance"}:
                session.abort(strike.do)
            elif strike.do == "silence":
                session.silent_until_ms = strike.until_ms

    def _struck(self, strike: Strike, *, is_all: bool) -> list["Session"]:
        if strike.channel is not None:
            return list(self._subscribers.get(strike.channel, ()))
        sessions = sorted(self.sessions, key=lambda one: one.number)
        if is_all or not sessions:
            return sessions
        return [sessions[strike.draw % len(sessions)]]

    async def run(self) -> None:
        """Send for ever; who was busy elsewhere catches up in slices, and others go between."""
        while True:
            await asyncio.sleep(WAKE_S)
            until_ms = self._exchange.now_us() // 1000
            while self._until_ms < until_ms:
                self.send_until(min(until_ms, self._until_ms + self._slice_ms))
                await asyncio.sleep(0)
            for session in list(self.sessions):
                if (
                    session.closed_because is None
                    and session.line.unread > self._exchange.unread_bytes
                ):
                    self.count_slow += 1
                    session.line.send([TOO_SLOW])
                    session.close(1_008, "connection_too_slow", least_s=SLOW_PATIENCE_S)

    def send_until(self, end_ms: int) -> None:
        """Send what happened since the last time, before a moment [Unix ms]."""
        start_ms, self._until_ms = self._until_ms, end_ms
        market = self._exchange.market.at(end_ms)
        for due in self.strikes.due(start_ms, end_ms):
            self.strike(due)
        batches: dict[Session, list[tuple[list[bytes], bytes]]] = {}
        for name, sessions in self._subscribers.items():
            payloads = self._rendered(market, name, start_ms, end_ms)
            if payloads:
                batch = payloads, b"".join(map(frame, payloads))
                for session in sessions:
                    batches.setdefault(session, []).append(batch)
        for session, batch in batches.items():
            if session.silent_until_ms < end_ms:
                session.line.send(
                    [payload for payloads, _ in batch for payload in payloads],
                    b"".join(frames for _, frames in batch),
                )
        for session, replays in self._replays.items():
            for replay in replays.values() if session.silent_until_ms < end_ms else ():
                frames, count = replay.between(market, start_ms, end_ms)
                self.count_sent["ticker"] += count
                session.line.send([], frames)
        for break_ in self.strikes.begins(start_ms, end_ms):
            self.strike(break_)

    def _rendered(self, market: Market, name: str, start_ms: int, end_ms: int) -> list[bytes]:
        data = self.channels.made(name).between(market, start_ms, end_ms)
        payloads = self.strikes.altered(name, notifications(name, data), end_ms)
        self.count_sent[name.partition(".")[0]] += len(payloads) * len(self._subscribers[name])
        return payloads

    def _send(self, name: str, data: list[bytes], sessions: list["Session"]) -> None:
        self.count_sent[name.partition(".")[0]] += len(data) * len(sessions)
        for session in sessions if data else []:
            session.line.send(notifications(name, data))
