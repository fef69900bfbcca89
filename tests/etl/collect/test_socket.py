"""One socket against a server of a few lines that does what it is told, over loopback."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from etl.collect import socket as module
from etl.collect import wire as wires
from etl.collect.board import Board
from etl.collect.channels import Channel, index
from etl.collect.clock import ExchangeClock
from etl.collect.intake import Intake, Route, kept
from etl.collect.socket import Pace, Socket
from etl.collect.wire import connect
from etl.errors import DeribitError, NoExchangeError

SENT_US = 1_760_745_600_000_000


class Server:
    """Answers as the exchange does; `refused` channels are left out, `note` sends one's data."""

    def __init__(self):
        self.asked = []
        self.refused = set()
        self.lines = []
        self.answers = True

    async def line(self, connection):
        self.lines.append(connection)
        with suppress(ConnectionClosed):
            await self._answer(connection)

    async def _answer(self, connection):
        async for text in connection:
            call = json.loads(text)
            self.asked.append(call)
            if not self.answers:
                continue
            result = "ok"
            if call["method"].endswith("subscribe"):
                result = [one for one in call["params"]["channels"] if one not in self.refused]
                result = sorted(result, reverse=True)
            await connection.send(json.dumps(envelope(call["id"], result)))

    async def note(self, channel, data, line=-1):
        told = {"channel": channel, "data": data}
        message = {"jsonrpc": "2.0", "method": "subscription", "params": told}
        await self.lines[line].send(json.dumps(message))

    def subscribed(self):
        """Every list of channels that was subscribed to, in order."""
        calls = [one for one in self.asked if one["method"] == "public/subscribe"]
        return [one["params"]["channels"] for one in calls]


def envelope(number, result):
    return {"jsonrpc": "2.0", "id": number, "result": result, "usOut": SENT_US}


@asynccontextmanager
async def serving():
    told = Server()
    async with serve(told.line, "127.0.0.1", 0, ping_interval=None) as server:
        host, port = server.sockets[0].getsockname()
        yield told, f"ws://{host}:{port}"


class Ear:
    """A socket with its intake, and all it told of."""

    def __init__(self, url, channels):
        self.board, self.clock = Board(0), ExchangeClock()
        self.intake = Intake(self.board, self.clock)
        self.lost, self.hushed = [], []
        self.socket = Socket(
            1,
            url,
            board=self.board,
            clock=self.clock,
            pace=Pace(0.0),
            take=self.intake.take,
            lost=lambda *told: self.lost.append(told),
            hushed=lambda channels: self.hushed.append([one.name for one in channels]),
            most_bytes=100_000,
        )
        for one in channels:
            self.intake.routes[one.name] = Route(one, one.name.split(".")[0], kept, None)
        self.socket.want(channels)

    @asynccontextmanager
    async def listening(self):
        task = asyncio.ensure_future(self.socket.run())
        try:
            await until(lambda: self.lost)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def messages(self):
        return [json.loads(one[-1]) for one in self.intake._waiting]  # noqa: SLF001

    def heard(self):
        return [one["params"]["data"] for one in self.messages if one.get("method")]


async def until(condition, seconds=10):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  (whatever it is that is waited for)
            await asyncio.sleep(0.005)


BTC, ETH = index("btc_usd"), index("eth_usd")


def test_channels_are_subscribed_to_after_a_heartbeat_is_asked_for():
    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC, ETH])
            async with ear.listening():
                await server.note(BTC.name, {"price": 1})
                await until(ear.heard)
            assert server.asked[0]["method"] == "public/set_heartbeat"
            assert server.asked[0]["params"] == {"interval": 10}
            assert server.subscribed() == [[BTC.name, ETH.name]]
            assert ear.heard() == [{"price": 1}]
            assert ear.board.counts["refused_channel"] == 0
            assert ear.clock.skew_ms is not None

    asyncio.run(run())


def test_a_channel_the_exchange_leaves_out_is_counted_and_others_are_heard(caplog):
    async def run():
        async with serving() as (server, url):
            server.refused = {"nonsense"}
            ear = Ear(url, [BTC, Channel("nonsense", "other", "")])
            async with ear.listening():
                assert ear.board.counts["refused_channel"] == 1
                await asyncio.sleep(0.05)
            assert server.subscribed() == [[BTC.name, "nonsense"]]

    asyncio.run(run())
    assert "left out 1 of 2 channels: nonsense" in caplog.text


def test_after_a_cut_all_is_subscribed_to_again_and_the_gap_is_told():
    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC, ETH])
            async with ear.listening():
                server.lines[0].transport.abort()
                await until(lambda: len(ear.lost) == 2)
                await server.note(ETH.name, 7)
                await until(ear.heard)
            assert server.subscribed() == [[BTC.name, ETH.name]] * 2
            assert ear.hushed[0] == [BTC.name, ETH.name]
            channels, start_ms, end_ms, why = ear.lost[1]
            assert [one.name for one in channels] == [BTC.name, ETH.name]
            assert start_ms <= end_ms
            assert "1006" in why
            assert ear.board.lines[1].reconnects == 1

    asyncio.run(run())


def test_the_code_and_words_of_a_close_are_told():
    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC])
            async with ear.listening():
                await server.lines[0].close(4000, "heartbeat close")
                await until(lambda: len(ear.lost) == 2)
            assert ear.lost[1][-1] == "closed by the exchange: 4000 'heartbeat close'"

    asyncio.run(run())


def test_a_socket_nothing_comes_over_is_opened_again(monkeypatch):
    monkeypatch.setattr(module, "SILENT_S", 0.2)
    monkeypatch.setattr(module, "LOOK_S", 0.02)

    async def run():
        async with serving() as (_, url):
            ear = Ear(url, [BTC])
            async with ear.listening():
                await until(lambda: len(ear.lost) == 2)
            assert "nothing came for" in ear.lost[1][-1]

    asyncio.run(run())


def test_a_socket_that_only_beats_is_opened_again(monkeypatch):
    monkeypatch.setattr(module, "DEAF_S", 0.3)
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    beat = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "heartbeat"}}

    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC])
            async with ear.listening():
                while len(ear.lost) < 2:
                    with suppress(ConnectionClosed):
                        await server.lines[0].send(json.dumps(beat))
                    await asyncio.sleep(0.02)
            assert "heartbeats, and no data for" in ear.lost[1][-1]

    asyncio.run(run())


def test_a_quiet_socket_whose_channels_may_pause_stays(monkeypatch):
    monkeypatch.setattr(module, "DEAF_S", 0.05)
    monkeypatch.setattr(module, "LOOK_S", 0.02)

    async def run():
        async with serving() as (_, url):
            ear = Ear(url, [Channel("trades.option.BTC.100ms", "trades", "BTC")])
            async with ear.listening():
                await asyncio.sleep(0.3)
            assert len(ear.lost) == 1

    asyncio.run(run())


def test_a_request_for_a_test_is_answered():
    ask = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}

    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC])
            async with ear.listening():
                await server.lines[0].send(json.dumps(ask))
                await until(lambda: server.asked[-1]["method"] == "public/test")
                await asyncio.sleep(0.05)
            assert ear.board.counts["unknown_message"] == 0

    asyncio.run(run())


def test_channels_that_come_and_go_are_followed():
    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC])
            async with ear.listening():
                ear.socket.want([ETH])
                ear.socket.drop([BTC.name])
                await until(lambda: len(server.subscribed()) == 2)
            calls = [(one["method"], one["params"].get("channels")) for one in server.asked]
            assert ("public/unsubscribe", [BTC.name]) in calls
            assert server.subscribed()[1] == [ETH.name]

    asyncio.run(run())


def test_a_message_in_pieces_is_one_message():
    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC])
            async with ear.listening():
                told = {"channel": BTC.name, "data": "x" * 5_000}
                text = json.dumps({"method": "subscription", "params": told})

                async def pieces():
                    for start in range(0, len(text), 1_000):
                        yield text[start : start + 1_000]

                await server.lines[0].send(pieces())
                await until(ear.heard)
            assert ear.heard() == ["x" * 5_000]

    asyncio.run(run())


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_message_larger_than_the_limit_ends_the_connection_and_not_the_collector(in_pieces):
    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC])
            async with ear.listening():
                text = json.dumps({"params": {"channel": BTC.name, "data": "x" * 150_000}})

                async def pieces():
                    for start in range(0, len(text), 50_000):
                        yield text[start : start + 50_000]

                await server.lines[0].send(pieces() if in_pieces else text)
                await until(lambda: len(ear.lost) == 2)
                await server.note(BTC.name, 1)
                await until(ear.heard)
            assert ear.heard() == [1]

    asyncio.run(run())


@pytest.mark.parametrize("message", ["not json", "[]", '{"params":7}', '{"params":{"channel":1}}'])
def test_what_cannot_be_read_is_kept_and_counted(message):
    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC])
            async with ear.listening():
                await server.lines[0].send(message)
                await server.note(BTC.name, 1)
                await until(lambda: ear.board.counts["unreadable"])
            kept_ = [one[-1] for one in ear.intake.handed_over()]
            assert message.encode() in kept_
            assert ear.board.counts["unreadable"] == 1

    asyncio.run(run())


def test_an_address_nobody_listens_at_is_named():
    async def run():
        with pytest.raises(NoExchangeError, match=r"ws://127.0.0.1:1/ws/api/v2 opened no socket"):
            await connect("ws://127.0.0.1:1/ws/api/v2", lambda *_: None, most_bytes=100)

    asyncio.run(run())


@pytest.mark.parametrize("answer", [b"", b"<html>gone</html>"])
def test_a_connection_that_is_ended_without_an_answer_opens_no_socket(answer):
    """As a balancer does that has nobody behind it."""

    async def end(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def run():
        async with await asyncio.start_server(end, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(NoExchangeError, match="ended without an answer"):
                await connect(f"ws://127.0.0.1:{port}", lambda *_: None, most_bytes=100)

    asyncio.run(run())


def test_an_answer_that_does_not_come_is_a_timeout_and_a_refusal_an_error(monkeypatch):
    monkeypatch.setattr(wires, "ANSWER_S", 0.1)

    async def refuse(connection):
        async for text in connection:
            error = {"code": 13778, "message": "raw_subscriptions_not_available"}
            number = json.loads(text)["id"]
            if number > 1:
                await connection.send(json.dumps({"id": number, "error": error}))

    async def run():
        async with serve(refuse, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            holder = Intake(Board(0), ExchangeClock())
            url = f"ws://{host}:{port}"

            class One:
                number = 1

            wire = await connect(url, lambda w, m: holder.take(One(), w, m), most_bytes=10_000)
            with pytest.raises(TimeoutError, match="no answer to public/subscribe"):
                await wire.call("public/subscribe", {"channels": []})
            with pytest.raises(DeribitError, match=r"raw_subscriptions_not_available \(code 13778"):
                await wire.call("public/subscribe", {"channels": []})
            wire.end("enough")
            assert await wire.ended == "enough"

    asyncio.run(run())


def test_when_the_disk_is_behind_reading_stops_until_it_is_not(monkeypatch):
    monkeypatch.setattr("etl.collect.intake.MOST_WAITING", 20_000)
    monkeypatch.setattr("etl.collect.intake.RESUMED_AT", 5_000)

    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC])
            ear.intake.sockets.append(ear.socket)
            async with ear.listening():
                sending = asyncio.ensure_future(flood(server))
                await until(lambda: ear.board.counts["paused"])
                await asyncio.sleep(0.2)
                held = len(ear.heard())
                await asyncio.sleep(0.2)
                assert len(ear.heard()) == held
                taken = 0
                while taken < 3_000:
                    some = ear.intake.handed_over()
                    taken += sum(b'"n": ' in one[-1] for one in some)
                    ear.intake.written()
                    await asyncio.sleep(0.01)
                await sending
            assert taken == 3_000

    asyncio.run(run())


async def flood(server):
    """Send some 3 MB."""
    for number in range(3_000):
        await server.note(BTC.name, {"n": number, "x": "y" * 1_000})


def test_a_connection_opened_while_the_disk_is_behind_is_not_read_either(monkeypatch):
    monkeypatch.setattr("etl.collect.intake.MOST_WAITING", 20_000)

    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC])
            ear.intake.sockets.append(ear.socket)
            async with ear.listening():
                first = asyncio.ensure_future(flood(server))
                await until(lambda: ear.board.counts["paused"])
                ear.socket.end("silent")
                await asyncio.gather(first, return_exceptions=True)
                await until(lambda: len(server.subscribed()) == 2)
                second = asyncio.ensure_future(flood(server))
                await asyncio.sleep(0.5)
                assert len(ear.heard()) < 1_500
                second.cancel()

    asyncio.run(run())


def test_a_channel_that_stood_still_is_let_go_and_subscribed_to_anew():
    async def run():
        async with serving() as (server, url):
            ear = Ear(url, [BTC, ETH])
            async with ear.listening():
                ear.socket.renew([ETH.name])
                await until(lambda: len(server.subscribed()) == 2)
            assert server.subscribed()[-1] == [ETH.name]
            (gone,) = [one for one in server.asked if one["method"] == "public/unsubscribe"]
            assert gone["params"]["channels"] == [ETH.name]

    asyncio.run(run())


def test_of_many_tickers_all_are_kept_and_the_newest_of_each_known():
    """Most of them are not looked into; what is no ticker of ours goes the usual way."""
    board, heard = Board(0), []
    intake = Intake(board, ExchangeClock())
    source = board.watch("tickers", "BTC", 60, 0)
    newest = {}
    names = [f"ticker.BTC-27MAR26-{strike}-C.agg2" for strike in (90_000, 100_000)]
    for name in names:
        channel = Channel(name, "tickers", "BTC")
        handle = lambda route, data: (heard.append(data), route.source.heard(1))  # noqa: E731
        intake.routes[name] = Route(channel, "ticker", handle, source, newest)

    class One:
        number = 1
        frame_at = data_at = 0.0

    head = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
    sent = [
        head + f'{name}","data":{{"timestamp":{number}}}}}}}'.encode()
        for number in range(40)
        for name in names
    ]
    sent.append(head + b'ticker.BTC-27MAR26-1-C.agg2","data":{"timestamp":1}}}')
    sent.append(head + b'ticker.BTC-27MAR26-90000-C.agg2","data":{"\xff')
    for message in sent:
        intake.take(One(), One(), message)

    assert [one[-1] for one in intake.handed_over()] == sent
    assert source.messages == 80
    assert len(heard) == 10
    assert newest == dict(zip(names, sent[78:80], strict=True))
    assert (board.counts["unknown_channel"], board.counts["unreadable"]) == (1, 1)
