"""Messages Deribit really sent, taken as a collector takes them: not a member of one is lost."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from etl.collect.board import Board
from etl.collect.channels import Channel
from etl.collect.clock import ExchangeClock
from etl.collect.desk import Desk
from etl.collect.intake import Intake
from etl.collect.messages import read_envelope
from etl.collect.universe import Universe
from etl.config import Collect
from etl.instruments.record import Instrument
from lake.journal import Journal
from lake.messages import read_socket, settle
from lake.paths import open_lake

DATA = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no recorded data beside the repo")

RECORDED_BY_US = 1_900_000_000_000_000
KINDS = {"chart": "candles", "trades": "trades", "ticker": "tickers", "quote": "quotes",
         "deribit_volatility_index": "dvol"}  # fmt: skip


def fixtures():
    return [path.read_bytes() for path in sorted(DATA.glob("rest_and_ws_fixtures/ws_*.json"))]


def session():
    """The messages of a recorded session that came over its socket."""
    found = []
    for line in (DATA / "ws_session_2021_07" / "DERIBIT.ws.1.0").read_text().splitlines():
        head, _, message = line.partition(": ")
        if head.replace(".", "").isdigit() and message:
            found.append(message.encode())
    return found


def recorded_trades():
    """Trades of options, from answers of REST."""
    found = {}
    for path in sorted(DATA.glob("*/*trades*.json")):
        for one in trades_in(json.loads(path.read_text())):
            if one["instrument_name"].endswith(("-C", "-P")) and "iv" in one:
                found[one["instrument_name"], one["trade_seq"]] = one
    return list(found.values())


def trades_in(value):
    """Every trade anywhere in a body."""
    if isinstance(value, list):
        return [trade for one in value for trade in trades_in(one)]
    if isinstance(value, dict):
        if "trade_seq" in value:
            return [value]
        return [trade for one in value.values() for trade in trades_in(one)]
    return []


class Heard:
    """A wire that says nothing: what is asked of it is written down."""

    def __init__(self):
        self.frame_at = self.data_at = 0.0
        self.said = []

    def say(self, frame):
        self.said.append(json.loads(frame))

    def answered(self, envelope):
        return envelope.id is not None


class Numbered:
    number = 1


def taken(messages):
    """Take messages in; return the desk, the board, what was said, and what is to be written."""

    async def take():
        clock, told = ExchangeClock(), Collect(currencies=("BTC", "ETH"))
        for _ in range(7):  # examples are of other moments than the answers among them
            clock.heard(RECORDED_BY_US)
        board, universe = Board(0), Universe(told)
        perpetual = Instrument("BTC-PERPETUAL", "future", 0, 0.5, "perpetual", "BTC")
        universe.instruments["BTC-PERPETUAL"] = perpetual
        intake = Intake(board, clock)
        desk = Desk(board, clock, universe, lambda _: None, lambda _: None)
        for message in messages:
            name = read_envelope(message).params.channel
            kind = KINDS.get(name.partition(".")[0])
            if name and kind:
                subject = name.split(".")[2 if name.startswith(("chart.", "trades.option")) else 1]
                intake.routes[name] = desk.route(Channel(name, kind, subject))
        wire = Heard()
        for message in messages:
            intake.take(Numbered(), wire, message)
        return desk, board, wire.said, intake.handed_over()

    return asyncio.run(take())


@pytest.mark.parametrize("messages", [fixtures, session])
def test_every_recorded_message_is_kept_byte_for_byte(messages, tmp_path):
    sent = messages()
    _, board, _, waiting = taken(sent)
    lake = open_lake(tmp_path, create=True)
    journal = Journal.open(lake, 1)
    journal.append(waiting)
    journal.write()
    journal.close()
    files = settle(lake, journal.path).files
    kept = [m.as_py() for batch in read_socket(files) for m in batch["message"]]
    assert sorted(kept) == sorted(sent)
    assert board.counts["messages"] == len(sent)
    assert board.counts["unreadable"] == 0


def test_no_member_of_a_recorded_candle_is_lost():
    (message,) = [one for one in fixtures() if b"chart.trades" in one]
    data = json.loads(message)["params"]["data"]
    later = message.replace(str(data["tick"]).encode(), str(data["tick"] + 60_000).encode())
    desk, *_ = taken([message, later])
    (row,) = desk.candles.rows()["perpetuals_ohlcv"].to_dicts()
    told = {name: row[name] for name in data if name != "tick"}
    assert told == {name: data[name] for name in told}
    assert set(data) == {"tick", *told}
    assert round(row["timestamp"].timestamp() * 1000) == data["tick"]


def test_every_recorded_ticker_of_an_option_tells_how_new_its_currency_is():
    desk, board, *_ = taken(session())
    notes = [json.loads(one)["params"] for one in session() if b'"subscription"' in one]
    tickers = [one["data"] for one in notes if one["channel"].startswith("ticker.")]
    assert len(tickers) == 89
    assert len(desk.tickers) == len({one["instrument_name"] for one in tickers})
    newest = {key: one.newest_ms for key, one in board.sources.items() if key[0] == "tickers"}
    assert all(ms in {one["timestamp"] for one in tickers} for ms in newest.values() if ms)
    for message in desk.tickers.values():
        assert msgspec.json.decode(message)["params"]["data"] in tickers


def test_trades_of_options_keep_every_member():
    """Of recorded answers, as a channel sends them: an array."""
    rows = [one for one in recorded_trades() if one["instrument_name"].startswith("BTC-")]
    assert rows
    note = {"channel": "trades.option.BTC.100ms", "data": rows}
    message = json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": note}).encode()

    desk, *_ = taken([message])

    async def merge():
        desk.merge(desk.gather())

    asyncio.run(merge())
    kept = desk.live["option_trades"].frame.sort("instrument", "trade_seq").to_dicts()
    sent = sorted(rows, key=lambda one: (one["instrument_name"], one["trade_seq"]))
    assert len(kept) == len(sent)
    for row, one in zip(kept, sent, strict=True):
        other = json.loads(row["other"] or "{}")
        for name, value in one.items():
            if name == "timestamp":
                assert round(row["timestamp"].timestamp() * 1000) == value
            elif name == "instrument_name":
                assert row["instrument"] == value
            elif name == "iv":
                assert row["iv"] == pytest.approx(value / 100, abs=1e-12)
            else:
                found = row.get(name, other.get(name))
                assert str(found) == str(value) or found == value, name


def test_a_heartbeat_that_asks_is_answered():
    *_, said, _ = taken([one for one in fixtures() if b"test_request" in one])
    assert [one["method"] for one in said] == ["public/test"]
