import json
import shutil
import subprocess
import sys
from datetime import timedelta

import duckdb
import polars as pl
import pytest

from etl.catalog import DATASETS
from etl.check.database_file import described, write_database_of
from lake.arrow import arrow
from lake.errors import DatabaseFileError, NotWritableError
from lake.live import drop_live, publish_live
from lake.partition import Partition
from lake.paths import open_lake
from lake.stored_views import EMPTY
from lake.views import open_views, select
from lake.write import publish_table
from tests.acceptance.command import Product
from tests.acceptance.in_process import InProcess
from tests.lake.test_views import BTC, ETH, ODD, START, candles

DATASET = "perpetuals_ohlcv"
KEY = ("timestamp", "instrument")
PLAIN = """
import json, sys, duckdb
assert "lake" not in sys.modules
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    connection.execute("SET TimeZone = 'UTC'")
    answers = {sql: connection.execute(sql).fetchall() for sql in sys.argv[2:]}
print(json.dumps(answers, default=str))
"""
ALL_OF_EACH = "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {} ORDER BY ALL"


@pytest.fixture
def lake(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)
    moments = [START, START + timedelta(minutes=1), START + timedelta(hours=16, minutes=1)]
    publish_table(candles(BTC, *moments), lake.clean(Partition(DATASET, BTC, "2024")))
    publish_table(candles(ETH, START), lake.clean(Partition(DATASET, ETH, "2024")))
    return lake


@pytest.fixture
def file(lake, tmp_path):
    write_database_of(lake, tmp_path / "lake.duckdb")
    return tmp_path / "lake.duckdb"


def asked(file, *queries):
    """Return the answers of a plain DuckDB in a process of its own, far from our code."""
    words = [sys.executable, "-I", "-c", PLAIN, str(file), *queries]
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(file, query):
    return asked(file, query)[query]


def by_query(lake, *queries):
    """Return what `query` answers, as `asked` does."""
    connection = open_views(lake)
    answers = {sql: select(connection, sql).fetchall() for sql in queries}
    return json.loads(json.dumps(answers, default=str))


def views_of(lake):
    sql = "SELECT view_name FROM duckdb_views() WHERE NOT internal"
    return [name for (name,) in select(open_views(lake), sql).fetchall()]


def test_a_plain_duckdb_answers_as_query_does_to_every_view(lake, file):
    publish_live(lake, DATASET, "2024-01-02", candles(BTC, START + timedelta(days=1)), KEY)
    queries = [ALL_OF_EACH.format(name) for name in views_of(lake)]
    queries += [f"DESCRIBE {name}" for name in views_of(lake)]
    assert len(queries) == 8

    assert asked(file, *queries) == by_query(lake, *queries)


def test_rows_that_come_later_are_seen_and_none_twice(lake, file):
    later = [START + timedelta(days=400), START + timedelta(days=400, minutes=1)]
    sql = f"SELECT count(*), count(DISTINCT (timestamp, instrument)) FROM {DATASET}"
    assert ask(file, sql) == [[4, 4]]

    publish_live(lake, DATASET, "2025-02-04", candles(BTC, *later), KEY)
    assert ask(file, sql) == by_query(lake, sql)[sql] == [[6, 6]]

    publish_table(candles(BTC, later[0]), lake.clean(Partition(DATASET, BTC, "2025")))
    assert ask(file, sql) == by_query(lake, sql)[sql] == [[6, 6]]

    drop_live(lake, DATASET, "2025-02-04")
    assert ask(file, sql) == by_query(lake, sql)[sql] == [[5, 5]]


def test_a_live_row_does_not_stand_beside_the_clean_one_of_its_key(lake, file):
    other = candles(BTC, START).set_column(5, "close", [[9.0]])
    publish_live(lake, DATASET, "2024-01-01", other, KEY)

    sql = f"SELECT close FROM {DATASET} WHERE instrument = '{BTC}' ORDER BY timestamp"
    assert ask(file, sql) == [[1.0], [2.0], [3.0]]


def rows_scanned(file, query):
    """Return how many rows DuckDB took out of files for a query."""
    with duckdb.connect(file, read_only=True) as connection:
        told = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}").fetchall()[0][1]
    return sum(map(_scanned, json.loads(told)["operator"]))


def _scanned(operator):
    below = operator.get("children", [])
    return sum(map(_scanned, below)) if below else operator["intermediate_rows"]


@pytest.mark.parametrize("live", [0, 1])
def test_looking_for_live_rows_takes_next_to_nothing_of_what_is_published(tmp_path, live):
    lake = open_lake(tmp_path / "lake", create=True)
    minutes = pl.datetime_range(START, START + timedelta(days=7), "1m", eager=True)
    path = lake.clean(Partition(DATASET, BTC, "2024"))
    publish_table(candles(BTC, *minutes), path, row_group=1_024)
    if live:
        publish_live(lake, DATASET, "2024-01-08", candles(BTC, minutes[-1]), KEY)
    write_database_of(lake, tmp_path / "lake.duckdb")

    found = rows_scanned(tmp_path / "lake.duckdb", f"SELECT sum(close) FROM {DATASET}")

    assert len(minutes) <= found < len(minutes) + 1_024 + 10


def test_a_dataset_of_which_nothing_is_held_has_no_rows_until_some_come(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)
    written = write_database_of(lake, tmp_path / "lake.duckdb")
    file = tmp_path / "lake.duckdb"
    empty = {name: f"SELECT count(*) FROM {name}" for name in written.views}

    assert set(map(str, asked(file, *empty.values()).values())) == {"[[0]]"}
    assert {"funding_rates", "option_trades", "vol_slices", "perpetuals_1h"} <= set(written.views)
    assert "perpetuals_ohlcv_5" not in written.views
    assert lake.datasets() == views_of(lake) == []

    publish_table(candles(BTC, START), lake.clean(Partition(DATASET, BTC, "2024")))
    rows = arrow(pl.DataFrame(schema=_schema("vol_slices")).clear(1))
    publish_table(rows, lake.derived(Partition("vol_slices", "BTC", "2024-01")))
    assert ask(file, empty[DATASET]) == ask(file, empty["perpetuals_1h"]) == [[1]]
    assert ask(file, empty["vol_slices"]) == [[1]]


def _schema(name):
    columns = DATASETS[name].model.to_schema().columns
    return {column: one.dtype.type for column, one in columns.items()}


def test_another_resolution_that_is_held_has_a_view(lake, tmp_path):
    publish_table(candles(BTC, START), lake.clean(Partition("perpetuals_ohlcv_5", BTC, "2024")))

    written = write_database_of(lake, tmp_path / "lake.duckdb")

    assert "perpetuals_ohlcv_5" in written.views
    assert "perpetuals_ohlcv_3" not in written.views


def test_what_was_set_aside_has_a_view_that_lasts_when_it_is_gone(lake, tmp_path):
    table = candles(BTC, START).append_column("failed_check", [["close:positive"]])
    publish_table(table, lake.quarantine(Partition(DATASET, BTC, "2024")))
    file, sql = tmp_path / "lake.duckdb", f"SELECT failed_check FROM quarantine_{DATASET}"
    write_database_of(lake, file)
    assert ask(file, sql) == by_query(lake, sql)[sql] == [["close:positive"]]
    assert ask(file, f"SELECT count(*) FROM {DATASET}") == [[4]]

    lake.quarantine(Partition(DATASET, BTC, "2024")).unlink()

    assert ask(file, sql) == []
    write_database_of(lake, file)
    assert ask(file, f"SELECT count(*) FROM {DATASET}") == [[4]]


def test_a_column_some_files_lack_and_one_no_contract_knows_are_there(lake, tmp_path):
    table = candles(BTC, START)
    for year, other in {
        "2023": table.drop_columns("cost").set_column(6, "volume", [[1]]),
        "2025": table.append_column("trades", [[7]]),
    }.items():
        publish_table(other, lake.clean(Partition(DATASET, BTC, year)))
    file, sql = tmp_path / "lake.duckdb", f"SELECT volume, cost, trades FROM {DATASET} ORDER BY ALL"

    write_database_of(lake, file)

    assert ask(file, sql) == by_query(lake, sql)[sql]
    assert [1.0, None, None] in ask(file, sql)
    assert [1.0, 10.0, 7] in ask(file, sql)


def test_a_dataset_without_a_contract_has_a_view_too(lake, tmp_path):
    for part in ("B[TC]", "BT"):
        publish_table(
            candles(part, START), lake.root / "clean/my 'own' [x]" / part / "2024.parquet"
        )
    publish_live(lake, "heard", "2024-01-01", candles(BTC, START), KEY)
    sql = ("SELECT instrument FROM \"my 'own' [x]\" ORDER BY 1", "SELECT instrument FROM heard")

    write_database_of(lake, tmp_path / "lake.duckdb")

    assert asked(tmp_path / "lake.duckdb", *sql) == by_query(lake, *sql)
    assert list(by_query(lake, *sql).values()) == [[["BT"], ["B[TC]"]], [[BTC]]]


def test_every_view_and_column_says_what_it_is_and_its_unit(file):
    views = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"
    columns = "SELECT column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
    macros = "SELECT count(*), count(comment) FROM duckdb_functions() WHERE NOT internal"
    told = "SELECT comment FROM duckdb_columns() WHERE table_name = '{}' AND column_name = '{}'"
    volume, hour = told.format(DATASET, "volume"), told.format("perpetuals_1h", "timestamp")

    answers = asked(file, views, columns, macros, volume, hour)

    assert list(answers.values()) == [
        [],
        [],
        [[2, 2]],
        [["Volume; 0 marks a filler [base coin]"]],
        [["Start of the hour [UTC]"]],
    ]


def test_macros_are_there_and_the_file_can_be_attached(lake, tmp_path):
    file = tmp_path / "o'clock" / "lake [1].duckdb"
    write_database_of(lake, file)

    with duckdb.connect() as connection:
        quoted = str(file).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS deribit (READ_ONLY)")
        hours = connection.execute("SELECT sum(minutes) FROM deribit.perpetuals_1h").fetchall()
        connection.execute("USE deribit")
        chain = connection.execute("FROM chain_at(TIMESTAMPTZ '2024-01-02')").fetchall()
        total = connection.execute("SELECT exact_sum(x) FROM (VALUES (0.1), (0.2)) t (x)")

        assert (hours, chain, total.fetchall()) == ([(4,)], [], [(0.3,)])


def test_the_file_is_of_the_oldest_storage_there_is(file):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{file}' AS deribit (READ_ONLY)")
        sql = "SELECT tags FROM duckdb_databases() WHERE database_name = 'deribit'"
        assert connection.execute(sql).fetchall() == [({"storage_version": "v1.0.0+"},)]


@pytest.mark.parametrize("name", [name for name in ODD if "\\" not in name])
def test_a_lake_of_an_odd_name_is_opened_with_its_own_rows(tmp_path, name):
    for number, one in enumerate([name, "lake1", "l", "xx", "a", "lake2"]):
        lake = open_lake(tmp_path / one, create=True)
        table = candles(BTC, START + timedelta(minutes=number))
        publish_table(table, lake.clean(Partition(DATASET, BTC, "2024")))
        if one == name:
            write_database_of(lake, tmp_path / "lake.duckdb")
    with duckdb.connect(tmp_path / "lake.duckdb", read_only=True) as connection:
        found = connection.execute(f"SELECT epoch_ms(timestamp) FROM {DATASET}").fetchall()

    assert found == [(START.timestamp() * 1000,)]


def test_a_lake_no_pattern_names_is_refused(tmp_path):
    lake = open_lake(tmp_path / "back\\slash", create=True)

    with pytest.raises(DatabaseFileError, match=r"no pattern .*back.*reach the lake by a link"):
        write_database_of(lake, tmp_path / "lake.duckdb")
    assert not (tmp_path / "lake.duckdb").exists()


def test_no_lake_is_made_where_there_is_none(tmp_path):
    with pytest.raises(DatabaseFileError, match=r"no lake at .*nowhere: expected a folder with"):
        write_database_of(open_lake(tmp_path / "nowhere"), tmp_path / "lake.duckdb")
    assert list(tmp_path.iterdir()) == []


def test_patterns_meet_no_other_folder_of_a_lake(lake, file):
    """What raw, journal, ledger and others hold is no dataset, whatever it is called."""
    for top in ("raw", "journal", "ledger", "operations", "quarantine", "derived.old", "backup"):
        publish_table(candles(BTC, START), lake.root / top / DATASET / BTC / "2030.parquet")
        publish_table(candles(BTC, START), lake.root / top / DATASET / "2030.parquet")

    assert ask(file, f"SELECT count(*) FROM {DATASET}") == [[4]]


def test_a_moved_lake_is_named_in_the_error(lake, file, tmp_path):
    shutil.move(lake.root, tmp_path / "elsewhere")

    with (
        duckdb.connect(file, read_only=True) as connection,
        pytest.raises(duckdb.IOException, match=r'No files found .*"/.*/lake/\['),
    ):
        connection.execute(f"FROM {DATASET}")

    write_database_of(open_lake(tmp_path / "elsewhere"), file)
    assert ask(file, f"SELECT count(*) FROM {DATASET}") == [[4]]


def test_a_file_is_replaced_by_the_next_and_its_readers_keep_theirs(lake, file):
    with duckdb.connect(file, read_only=True) as reader:
        before = file.stat().st_ino
        write_database_of(lake, file)

        assert file.stat().st_ino != before
        assert reader.execute(f"SELECT count(*) FROM {DATASET}").fetchall() == [(4,)]
    assert ask(file, f"SELECT count(*) FROM {DATASET}") == [[4]]
    assert sorted(path.name for path in file.parent.iterdir()) == ["lake", "lake.duckdb"]


def test_at_the_end_of_a_link_it_is_replaced(lake, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "lake.duckdb")

    for _ in range(2):
        write_database_of(lake, tmp_path / "link")

    assert (tmp_path / "link").is_symlink()
    assert ask(tmp_path / "there" / "lake.duckdb", f"SELECT count(*) FROM {DATASET}") == [[4]]


@pytest.mark.parametrize("content", [b"", b"notes of mine\n" * 2_000])
def test_a_file_that_is_no_duckdb_file_stays(lake, tmp_path, content):
    file = tmp_path / "notes.txt"
    file.write_bytes(content)

    with pytest.raises(DatabaseFileError, match=r"notes\.txt is there, and no DuckDB file"):
        write_database_of(lake, file)
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("made", "name"),
    [
        ("CREATE TABLE notes AS SELECT 1", "notes"),
        ("CREATE VIEW mine AS SELECT 1", "mine"),
        ("CREATE MACRO half(x) AS x / 2", "half"),
    ],
)
def test_a_file_that_holds_anything_else_stays(lake, file, made, name):
    with duckdb.connect(file) as connection:
        connection.execute(made)
    before = file.read_bytes()

    with pytest.raises(DatabaseFileError, match=f"holds what is not of the lake: {name}; it stays"):
        write_database_of(lake, file)
    assert file.read_bytes() == before


def test_a_folder_and_a_device_are_refused(lake, tmp_path):
    for path in (tmp_path, "/dev/null"):
        with pytest.raises(DatabaseFileError, match="is no file: expected"):
            write_database_of(lake, tmp_path / path)


HOLDS = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"


def test_a_file_another_program_may_write_to_stays(lake, file):
    before = file.read_bytes()
    words = [sys.executable, "-c", HOLDS, str(file)]
    with subprocess.Popen(words, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "1\n"
        with pytest.raises(DatabaseFileError, match="is open for writing: close it there"):
            write_database_of(lake, file)
        other.communicate("\n")

    assert other.returncode == 0
    assert file.read_bytes() == before


DIES = """
import duckdb, os, sys
held = duckdb.connect(sys.argv[1]).execute(sys.argv[2])
os._exit(9)  # no checkpoint: the change is in the log beside the file
"""


def left_by_a_killed_program(file, sql):
    subprocess.run([sys.executable, "-c", DIES, str(file), sql], check=False)
    assert file.with_name("lake.duckdb.wal").stat().st_size


def test_a_log_that_a_killed_program_left_is_not_read_into_the_next_file(lake, file):
    left_by_a_killed_program(file, f"CREATE OR REPLACE VIEW {DATASET} AS SELECT 1 AS one")

    write_database_of(lake, file)

    assert not file.with_name("lake.duckdb.wal").exists()
    assert ask(file, f"SELECT count(*) FROM {DATASET}") == [[4]]


def test_a_table_in_a_log_that_a_killed_program_left_stays(lake, file):
    left_by_a_killed_program(file, "CREATE TABLE notes AS SELECT 1")

    with pytest.raises(DatabaseFileError, match="holds what is not of the lake: notes;"):
        write_database_of(lake, file)
    assert ask(file, "SELECT count(*) FROM notes") == [[1]]


def test_a_lake_that_cannot_be_given_empty_files_is_one_error(lake, tmp_path):
    (lake.root / EMPTY).write_text("x")

    with pytest.raises(NotWritableError, match="cannot write"):
        write_database_of(lake, tmp_path / "lake.duckdb")
    assert not (tmp_path / "lake.duckdb").exists()


def test_two_at_once_leave_one_whole_file(lake, tmp_path):
    product = Product(lake.root, "http://127.0.0.1:9")
    file = tmp_path / "lake.duckdb"
    runs = [product.start("sql", "--file", file) for _ in range(2)]

    assert [run.wait() for run in runs] == [0, 0]
    assert ask(file, f"SELECT count(*) FROM {DATASET}") == [[4]]


def test_the_command_says_what_it_wrote_and_what_it_refused(lake, tmp_path):
    product = InProcess(Product(lake.root, "http://127.0.0.1:9"))
    (tmp_path / "notes").write_text("mine")

    done = product.run("sql", "--file", tmp_path / "lake.duckdb")
    refused = product.run("sql", "--file", tmp_path / "notes")

    assert done.returncode == 0
    assert done.stdout == (
        f"wrote {tmp_path}/lake.duckdb: 29 views, and the macros chain_at, exact_sum\n"
    )
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert "notes is there, and no DuckDB file" in refused.stderr


def test_where_nothing_can_be_written_it_is_one_error(lake, tmp_path):
    (tmp_path / "file").write_text("x")

    with pytest.raises((NotWritableError, DatabaseFileError)):
        write_database_of(lake, tmp_path / "file" / "lake.duckdb")


def test_a_corrupt_file_of_the_lake_is_named(lake, tmp_path):
    lake.clean(Partition(DATASET, ETH, "2024")).write_bytes(b"no")

    with pytest.raises(DatabaseFileError, match=r"ETH-PERPETUAL/2024\.parquet"):
        write_database_of(lake, tmp_path / "lake.duckdb")
    assert not (tmp_path / "lake.duckdb").exists()


def test_a_second_run_leaves_the_empty_files_as_they_are(lake, file):
    empty = sorted((lake.root / EMPTY).rglob("*.parquet"))
    before = {path: path.stat().st_mtime_ns for path in empty}
    assert len(before) > 2 * 20

    write_database_of(lake, file)
    assert {path: path.stat().st_mtime_ns for path in empty} == before

    empty[0].write_bytes(b"no")
    write_database_of(lake, file)
    assert pl.read_parquet(empty[0]).is_empty()


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_described_by_its_contract(name):
    one = described(DATASETS[name])

    assert one.rows.num_rows == 0
    assert set(one.key) <= set(one.rows.column_names) == set(one.meanings)
    assert one.about
    assert all(one.meanings.values())
