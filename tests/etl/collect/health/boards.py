"""Boards as a collector leaves them: all well, and in trouble."""

from etl.collect.board import Board, Line, LiveGap
from etl.collect.health.alarms import Alarms
from etl.config import Collect

NOW = 1_760_772_600_000
HOUR_MS = 3_600_000
FUTURES = ("BTC-PERPETUAL", "ETH-PERPETUAL", "SOL_USDC-PERPETUAL", "BTC-26DEC25", "ETH-27MAR26")
SOURCES = {
    "candles": (FUTURES, 180, 41_000),
    "dvol": (("btc_usd", "eth_usd"), 120, 1_400),
    "funding": (FUTURES[:3], 180, 2_100),
    "index": (("btc_usd", "eth_usd", "sol_usd"), 60, 700),
    "tickers": (("BTC", "ETH", "USDC"), 180, 2_600),
    "trades": (("BTC", "ETH", "USDC"), 3_600, 312_000),
    "quotes": (("BTC-PERPETUAL",), 0, 9_000_000),
}
"""Of each kind: its subjects, their limit [s] and how old they are [ms]."""


def fresh():
    """Return the board of a collector all is well with."""
    board = Board(NOW - 50 * HOUR_MS)
    for kind, (subjects, limit_s, age_ms) in SOURCES.items():
        for number, subject in enumerate(subjects):
            source = board.watch(kind, subject, limit_s, NOW - 50 * HOUR_MS)
            source.heard(NOW - age_ms - 150 * number, 10_000 * (number + 1))
            source.comes_over(1 + number % 2)
    board.lines = {
        1: Line(1, 1_498, NOW - 3 * HOUR_MS, NOW - 90, 4, "closed by the exchange: 1006"),
        2: Line(2, 1_212, NOW - 50 * HOUR_MS, NOW - 40),
    }
    board.counts.update(messages=1_234_567, bytes=741_000_000, confirmed=9_120, filled=44)
    board.lost(LiveGap("candles", NOW - 3 * HOUR_MS - 62_000, NOW - 3 * HOUR_MS, "1006", 10))
    board.published_ms, board.folded_ms = NOW - 21_000, NOW - NOW % (24 * HOUR_MS)
    board.skew_ms, board.free_bytes, board.unwritten_ms = -130, 123_400_000_000, 410
    board.database.is_wanted, board.database.sent_ms = True, NOW - 1_000
    for wait_s in (0.2, 0.4, 0.4, 0.9, 3.0):
        board.waits.add(wait_s)
    Alarms(board, Collect()).look(NOW)
    return board


def troubled():
    """Return one whose second socket is silent, while the database is away."""
    board = fresh()
    for source in board.sources.values():
        if source.line == 2 and source.limit_ms:
            source.newest_ms = NOW - 260_000
    board.lines[2] = Line(2, 1_212, None, NOW - 260_000, 9, "no answer within 10 s to <subscribe>")
    board.lost(LiveGap("index", NOW - 260_000, NOW, "nothing heard for 35 s"))
    board.database.waiting_since_ms = NOW - 700_000
    board.database.error = "no server answers at <db>:5432"
    Alarms(board, Collect()).look(NOW)
    return board
