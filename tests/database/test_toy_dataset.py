"""A newcomer's datasets, one fetched and one computed, written in this file and nowhere else.

Trades of a currency come in pages of a method nobody else asks, in months, several in one
millisecond, proved by their numbers; their volume an hour is computed from them. Every command
knows both, once they are in the list.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import msgspec
import pandera.polars as pa
import polars as pl
import pytest
from typer.testing import CliRunner

from cli import app
from etl.catalog import DATASETS, register
from etl.database.connection import connect, execute_script
from etl.database.ddl import create_table
from etl.dataset import Computed, Fetched, Made, Task
from etl.instruments.names import family_of
from etl.instruments.record import always
from etl.proof.protocol import Numbers
from etl.proof.sequence import SequenceProof
from etl.sources.stamps import timestamp
from lake.partition import Partition
from validators.table import TableFacts, declared
from validators.units import COIN, UTC, Moment

# --- the dataset that is fetched -----------------------------------------------------------------


class ToyTrades(pa.DataFrameModel):
    """One row per trade."""

    timestamp: Moment = pa.Field(description="Moment of the trade", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's instrument_name")
    trade_seq: int = pa.Field(description="Number of the trade", ge=1)
    amount: float = pa.Field(description="Amount", metadata=COIN, gt=0)

    class Config:
        """Exactly these columns, and the table."""

        strict = True
        ordered = True
        metadata = declared(
            key=("instrument", "timestamp", "trade_seq"),
            table=TableFacts(
                name="toy_trades",
                about="Trades of a toy",
                key=("instrument", "timestamp", "trade_seq"),
            ),
        )


class Trade(msgspec.Struct):
    timestamp: int
    instrument_name: str
    trade_seq: int
    amount: float


class Page(msgspec.Struct):
    trades: list[Trade]


class Envelope(msgspec.Struct):
    result: Page


def params(currency, window, _now_ms):
    if isinstance(window, Numbers):
        numbers = {"start_seq": window.first, "end_seq": window.last}
        return {"instrument_name": window.of, **numbers, "count": PAGE}
    bounds = {"start_timestamp": window.start_ms, "end_timestamp": window.end_ms - 1}
    return {"currency": currency, **bounds, "count": PAGE, "sorting": "asc"}


def onward(params, page, _window):
    rows = page.trades
    is_full = len(rows) == PAGE and "currency" in params
    return params | {"start_timestamp": rows[-1].timestamp} if is_full else None


def decode(body):
    rows = msgspec.json.decode(body, type=Envelope).result.trades
    columns = {name: [getattr(row, name) for row in rows] for name in Trade.__struct_fields__}
    schema = dict(zip(columns, (pl.Int64, pl.String, pl.Int64, pl.Float64), strict=True))
    return pl.DataFrame(columns, schema=schema).rename({"timestamp": "timestamp_ms"})


def transform(raw, _currency):
    instrument = pl.col("instrument_name").alias("instrument")
    return raw.select(timestamp(), instrument, "trade_seq", "amount", "attempt")


PAGE, HOUR_MS = 40, 3_600_000
TRADES = Fetched(
    name="toy_trades",
    model=ToyTrades,
    method="public/get_toy_trades",
    proof=SequenceProof(PAGE, window_ms=24 * HOUR_MS),
    kind="option",
    select=lambda _listing, choice: [always(name) for name in choice.currencies],
    params=params,
    onward=onward,
    check=lambda result: msgspec.json.decode(result, type=Page),
    decode=decode,
    transform=transform,
    empty_body=b'{"result":{"trades":[]}}',
    period="month",
    subject_part=family_of,
    raw_key="currency",
    raw_period="day",
)

# --- the dataset that is computed ----------------------------------------------------------------


class ToyVolume(pa.DataFrameModel):
    """One row per instrument and hour with a trade."""

    timestamp: Moment = pa.Field(description="Start of the hour", metadata=UTC)
    instrument: str = pa.Field(description="Deribit's instrument_name")
    volume: float = pa.Field(description="Volume", metadata=COIN)

    class Config:
        """Exactly these columns, and the table."""

        strict = True
        ordered = True
        metadata = declared(table=TableFacts(name="toy_volume", about="Volume of a toy an hour"))


def tasks(held, _listing, _options) -> Iterator[Task]:
    for one in sorted(held):
        if held[one].rows:
            yield Task(Partition("toy_volume", one.part, one.period), (one,))


def step(read, _held, todo):
    for task in todo:
        trades = pl.DataFrame(read(task.inputs[0], ("timestamp", "instrument", "amount")))
        hours = trades.group_by(pl.col("timestamp").dt.truncate("1h"), "instrument")
        volume = hours.agg(pl.col("amount").sum().alias("volume"))
        yield task, Made(volume.sort("timestamp", "instrument"))


VOLUME = Computed(
    name="toy_volume",
    model=ToyVolume,
    inputs=("toy_trades",),
    version=1,
    tasks=tasks,
    step=step,
    period="month",
    subject_part=family_of,
)

# --- an exchange that serves it, and the test ----------------------------------------------------

START_MS = 1_732_924_800_000  # 2024-11-30; the first of December is the month after
NOW_MS = START_MS + 3 * 24 * HOUR_MS
CALL, PUT = "BTC-27DEC24-100000-C", "BTC-27DEC24-90000-P"
HELD_BACK = (CALL, 30)  # the first time it is asked for, it is not sent
PERPETUAL = {
    "instrument_name": "BTC-PERPETUAL", "instrument_id": 1, "kind": "future", "tick_size": 0.5,
    "creation_timestamp": START_MS, "settlement_period": "perpetual", "price_index": "btc_usd",
    "settlement_currency": "BTC",
}  # fmt: skip
WORDS = ("--currency", "BTC", "--start", "2024-11-30")


def all_trades():
    """Some trades an hour of either option for three days, the last three in one millisecond."""
    numbers = {CALL: 0, PUT: 0}
    for hour in range(70):
        for offset, name in ((1, CALL), (2, PUT), (5, CALL), (5, CALL), (5, PUT)):
            numbers[name] += 1
            moment = START_MS + hour * HOUR_MS + offset * 600_000
            yield Trade(moment, name, numbers[name], 0.5)


class Exchange(ThreadingHTTPServer):
    """Serves the lists of instruments and the trades, and counts what it is asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.was_held_back = self.is_forgetful = False

    def page(self, asked):
        count = int(asked["count"])
        if name := asked.get("instrument_name"):
            numbers = range(int(asked["start_seq"]), int(asked["end_seq"]) + 1)
            rows = [
                row
                for row in all_trades()
                if row.instrument_name == name and row.trade_seq in numbers
            ]
        else:
            start, end = int(asked["start_timestamp"]), int(asked["end_timestamp"])
            rows = [row for row in all_trades() if start <= row.timestamp <= end]
        kept = [row for row in rows if (row.instrument_name, row.trade_seq) != HELD_BACK]
        if len(kept) < len(rows) and (self.is_forgetful or not self.was_held_back):
            self.was_held_back, rows = True, kept
        return {"trades": rows[:count]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        result = [PERPETUAL]
        if url.path.endswith("get_toy_trades"):
            self.server.asked.append(asked)
            result = self.server.page(asked)
        body = msgspec.json.encode({"result": result, "usOut": NOW_MS * 1000})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        """Say nothing."""


@pytest.fixture
def exchange():
    with Exchange() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def command(database, exchange, tmp_path):
    """Run a command line in this process, where the list has the two datasets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIBIT_LAKE_CONFIRM_AFTER", "0")
        patch.setenv("DERIBIT_LAKE_LOG_DIR", str(tmp_path / "logs"))
        patch.setenv("TMPDIR", str(tmp_path))
        for one in (TRADES, VOLUME):
            register(one)
        with connect(database) as connection:
            execute_script(connection, create_table(ToyTrades) + create_table(ToyVolume))
            connection.commit()
        host = f"http://127.0.0.1:{exchange.server_port}"
        flags = ["--lake", str(tmp_path / "lake"), "--host", host, "--dsn", database.dsn]

        def run(*words, code=0):
            done = CliRunner().invoke(app, [*flags, *words])
            assert done.exit_code == code, (words, done.output, done.exception)
            return done.stdout

        yield run
    for one in (TRADES, VOLUME):
        del DATASETS[one.name]


def told(command, *words, code=0):
    return json.loads(command(*words, "--json", code=code))


def verdicts(command, dataset, code=0):
    found = told(command, "status", "--dataset", dataset, code=code)["instruments"]
    return [(one["instrument"], one["verdict"], one["rows"], one["gaps"]) for one in found]


def test_a_fetched_dataset_is_known_to_every_command_by_one_file(command, exchange, tmp_path):
    trades = list(all_trades())

    planned = told(command, "plan", "toy_trades", *WORDS)
    assert (planned["requests"], exchange.asked) == (3, [])
    command("backfill", "toy_trades", *WORDS, "--load")
    assert exchange.was_held_back
    ((*held, gaps),) = verdicts(command, "toy_trades")
    assert (held, gaps.keys()) == (["BTC", "COMPLETE", len(trades)], {"seen_once"})
    assert command("verify", "--dataset", "toy_trades").startswith("0 faults")
    counted = (
        "SELECT count(*) AS n, count(DISTINCT (instrument, trade_seq)) AS keys FROM toy_trades"
    )
    assert json.loads(command("query", counted, "--format", "json")) == [
        {"n": len(trades), "keys": len(trades)}
    ]
    assert told(command, "verify-db", "--dataset", "toy_trades") == {
        "rows": len(trades), "differences": [], "live": {},
    }  # fmt: skip
    files = sorted((tmp_path / "lake" / "clean").glob("toy_trades/BTC/*.parquet"))
    before = [path.read_bytes() for path in files]
    assert "rebuilt 2 partitions" in command("replay", "--dataset", "toy_trades", "--workers", "1")
    assert [path.read_bytes() for path in files] == before
    assert [path.stem for path in files] == ["2024-11", "2024-12"]
    assert len(list((tmp_path / "lake" / "raw").glob("get_toy_trades/*/*/day=2024-1*"))) == 3


def test_a_number_that_never_comes_is_lost_by_two_looks(command, exchange):
    exchange.is_forgetful = True
    command("backfill", "toy_trades", *WORDS, code=3)

    ((*held, gaps),) = verdicts(command, "toy_trades", code=3)
    assert held == ["BTC", "INCOMPLETE", len(list(all_trades())) - 1]
    assert gaps["lost"] == 1
    command("heal", "--dataset", "toy_trades", code=3)
    ((_, verdict, _, gaps),) = verdicts(command, "toy_trades", code=3)
    assert (verdict, gaps) == ("INCOMPLETE", {"lost": 1})  # all else was seen twice
    asked = len(exchange.asked)
    command("heal", "--dataset", "toy_trades", code=3)
    assert len(exchange.asked) == asked  # it is looked for again in a day


def test_a_computed_dataset_is_known_to_every_command_by_one_file(command):
    command("backfill", "toy_trades", *WORDS)
    volume = len(list(all_trades())) * 0.5

    assert told(command, "compute", "toy_volume", "--workers", "1")["computed"] == 2
    assert told(command, "compute", "toy_volume", "--workers", "1")["unchanged"] == 2
    assert verdicts(command, "toy_volume") == [("BTC", "COMPLETE", 140, {})]
    assert command("verify", "--dataset", "toy_volume").startswith("0 faults")
    summed = command("query", "SELECT sum(volume) AS v FROM toy_volume", "--format", "json")
    assert json.loads(summed) == [{"v": volume}]
    assert told(command, "load", "--dataset", "toy_volume")["inserted"] == 140
    assert told(command, "load", "--dataset", "toy_volume")["months_loaded"] == 0
    assert told(command, "verify-db", "--dataset", "toy_volume")["differences"] == []


@pytest.mark.usefixtures("command")
def test_what_a_command_cannot_treat_says_why():
    for words, why in (
        (
            ("backfill", "toy_volume"),
            "toy_volume is computed, not fetched: run `deribit-lake compute",
        ),
        (("compute", "toy_trades"), "toy_trades is not computed"),
        (
            ("quality", "--dataset", "toy_volume"),
            "no check of toy_volume: it is a function of toy_tr",
        ),
        (
            ("quality", "--dataset", "toy_trades"),
            "no check of toy_trades: its rows stand at no fixed",
        ),
        (("status", "--dataset", "toy_trade"), "no dataset 'toy_trade'; nearest: toy_trades"),
    ):
        done = CliRunner().invoke(app, list(words))
        assert why in str(done.exception), (words, done.output, done.exception)
