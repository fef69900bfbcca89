from prometheus_client.parser import text_string_to_metric_families

from etl.collect.board import Board
from etl.collect.health.metrics import metrics
from tests.etl.collect.health.boards import NOW, fresh, troubled


def read(board):
    """Return the value of every sample by its name and labels."""
    families = text_string_to_metric_families(metrics(board, NOW).decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_ages_are_told_of_each_kind_and_of_sources_that_stay():
    told = read(fresh())
    assert told["deribit_lake_data_age_worst_seconds", "candles"] == 41.6
    assert told["deribit_lake_data_age_seconds", "candles", "BTC-PERPETUAL"] == 41.0
    assert told["deribit_lake_data_age_seconds", "index", "eth_usd"] == 0.85
    assert ("deribit_lake_data_age_seconds", "candles", "BTC-26DEC25") not in told


def test_counters_end_in_total_and_count():
    told = read(fresh())
    assert told["deribit_lake_messages_total",] == 1_234_567
    assert told["deribit_lake_bytes_total",] == 741_000_000
    assert told["deribit_lake_reconnects_total",] == 4
    assert told["deribit_lake_gaps_total",] == 1
    assert told["deribit_lake_kind_messages_total", "index"] == 60_000


def test_waits_for_the_disk_are_a_histogram():
    told = read(fresh())
    name = "deribit_lake_write_wait_seconds"
    counts = {
        label: told[f"{name}_bucket", label] for label in ("0.25", "0.5", "1.0", "5.0", "+Inf")
    }
    assert counts == {"0.25": 1, "0.5": 3, "1.0": 4, "5.0": 5, "+Inf": 5}
    assert told[f"{name}_count",] == 5
    assert told[f"{name}_sum",] == 4.9


def test_alarms_sockets_clock_and_database_are_told():
    told = read(troubled())
    assert told["deribit_lake_alarms",] == 2
    assert told["deribit_lake_alarm", "socket 2"] == 1
    assert (told["deribit_lake_sockets",], told["deribit_lake_sockets_up",]) == (2, 1)
    assert told["deribit_lake_clock_skew_seconds",] == -0.13
    assert told["deribit_lake_database_lag_seconds",] == 700
    assert told["deribit_lake_stale_sources", "candles"] == 2


def test_what_is_not_known_is_not_told():
    names = {name for name, *_ in read(Board(NOW))}
    assert "deribit_lake_alarms" in names
    assert not names & {"deribit_lake_clock_skew_seconds", "deribit_lake_database_lag_seconds"}


def test_names_follow_the_conventions_of_prometheus():
    units = ("_seconds", "_bytes", "_total", "_bucket", "_count", "_sum")
    plain = {"alarms", "alarm", "sockets", "sockets_up", "maintenance", "sources", "stale_sources"}
    for name, *_ in read(troubled()):
        assert name.endswith(units) or name.removeprefix("deribit_lake_") in plain
