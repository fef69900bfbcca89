import re

import pytest

from etl.config import Settings, load_settings
from etl.database.connection import connect, target
from etl.database.schema import ServerFacts, check_server
from etl.database.tables import Column, hypertables, tables
from etl.errors import (
    ExtensionError,
    LocalServerError,
    ServerTooOldError,
    UnreachableError,
    UsageError,
)

LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE")


@pytest.fixture(autouse=True)
def no_libpq_environment(monkeypatch):
    for name in LIBPQ:
        monkeypatch.delenv(name, raising=False)


def test_a_flag_comes_before_the_environment_of_libpq(monkeypatch):
    monkeypatch.setenv("PGHOST", "elsewhere")
    assert target(Settings(dsn="postgresql://here")) == "postgresql://here"


def test_the_environment_of_libpq_is_left_to_libpq(monkeypatch, tmp_path):
    monkeypatch.setenv("PGHOST", "elsewhere")
    assert target(Settings(db_dir=tmp_path)) == "postgresql://"


def test_without_any_database_the_error_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"give --dsn .* or start one with `deribit-lake db up`"):
        target(Settings(db_dir=tmp_path))


def test_a_server_that_was_stopped_is_told_from_none(tmp_path):
    (tmp_path / "cluster").mkdir()
    with pytest.raises(LocalServerError, match="does not run: start it"):
        target(Settings(db_dir=tmp_path))


def test_a_database_that_is_down_is_one_line_that_names_it():
    with pytest.raises(UnreachableError) as caught:
        connect(Settings(dsn="postgresql://me@127.0.0.1:1/lake"))
    assert re.match(
        r"no database at postgresql://me@127\.0\.0\.1:1/lake: .*refused", str(caught.value)
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dsn", ["postgresql://h/d?nonsense=1", "host=127.0.0.1 port=abc"])
def test_a_parameter_libpq_does_not_know_is_no_traceback(dsn):
    with pytest.raises(UnreachableError, match="libpq cannot use one of its parameters"):
        connect(Settings(dsn=dsn))


def test_settings_do_not_show_the_dsn(tmp_path):
    secret = "geheim-Zx9Q"
    file = tmp_path / "deribit-lake.toml"
    file.write_text(f'dsn = ["{secret}"]')

    with pytest.raises(UsageError) as caught:
        load_settings(file)

    assert secret not in f"{caught.value}{caught.value.__cause__}{Settings(dsn=secret)!r}"


@pytest.mark.parametrize(
    ("facts", "minimum", "message"),
    [
        (("13.9", "2.19.3"), {}, "the server has PostgreSQL 13.9, expected 14.0 or newer"),
        (("17.1", "2.9.3"), {}, "the server has TimescaleDB 2.9.3, expected 2.13 or newer"),
        (
            ("17.1", "2.19.3"),
            {"timescaledb": (2, 20)},
            "TimescaleDB 2.19.3, expected 2.20 or newer",
        ),
    ],
)
def test_a_server_too_old_is_refused_by_its_version(facts, minimum, message):
    with pytest.raises(ServerTooOldError, match=re.escape(message)):
        check_server(ServerFacts(*facts, "apache", 1), **minimum)


def test_a_server_at_the_minimum_is_accepted():
    check_server(ServerFacts("14.0", "2.13.0", "apache", 1))


def test_a_database_without_the_extension_is_refused():
    with pytest.raises(
        ExtensionError, match="no extension timescaledb: run `deribit-lake db init`"
    ):
        check_server(ServerFacts("17.1", None, None, None))


def test_exactly_six_hypertables_are_in_public():
    assert {name for name in hypertables() if tables()[name].schema == "public"} == {
        "perpetuals_ohlcv",
        "futures_ohlcv",
        "options_ohlcv",
        "options_greeks",
        "funding_rates",
        "index_prices",
    }


def test_every_hypertable_has_a_key_of_subject_and_time():
    keys = {tables()[name].key for name in hypertables()}
    times = {tables()[name].columns[0] for name in hypertables()}

    assert {key[:2] for key in keys} == {("instrument", "timestamp"), ("underlying", "timestamp")}
    assert times == {Column("timestamp", "timestamp with time zone", is_nullable=False)}
