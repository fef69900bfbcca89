from pathlib import Path

import pytest

from etl.check.doctor.origins import line_of, nearest, read_sources, salvage

TEXT = """\
# of ours
connections = 4
collect.tickers = "100ms"

[collect]  # the rest
"kinds" = ["candles"]
fold_at = "01:20"
"""


@pytest.fixture
def written(tmp_path):
    """Return a function that writes settings and reads where they come from."""

    def write(text, flags=None, **environment):
        path = tmp_path / "deribit-lake.toml"
        path.write_text(text, encoding="utf-8")
        return read_sources(path, flags or {}, environment)

    return write


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("connections",), 2),
        (("collect", "tickers"), 3),
        (("collect",), 5),
        (("collect", "kinds"), 6),
        (("collect", "fold_at"), 7),
        (("fold_at",), None),
    ],
)
def test_a_setting_is_found_by_its_line(path, line):
    assert line_of(TEXT, path) == line


def test_flags_come_before_the_environment_before_the_file(written):
    sources = written(
        "root = 'c'\nlog_dir = 'c'\ndb_dir = 'c'\n",
        {"root": Path("a"), "dsn": None},
        DERIBIT_LAKE_ROOT="b",
        DERIBIT_LAKE_LOG_DIR="b",
    )
    settings = salvage(sources)
    assert (settings.root, settings.log_dir, settings.db_dir) == (Path("a"), Path("b"), Path("c"))
    found = [sources.origin((name,)) for name in ("root", "log_dir", "db_dir", "dsn")]
    assert found == ["flag", "environment", "file", "default"]


def test_a_variable_is_a_setting_whatever_its_letters(written):
    sources = written("", deribit_lake_collect__fold_at="02:00")
    assert salvage(sources).collect.fold_at == "02:00"
    assert sources.origin(("collect", "fold_at")) == "environment"


def test_what_can_be_used_is_kept_where_much_cannot(written):
    text = (
        "connections = 0\nretry_attempts = 3\nnonsense = 1\n[collect]\nfold_at = '9'\ntickerz = 1\n"
    )
    sources = written(text, DERIBIT_LAKE_CREDIT_COST="nothing", DERIBIT_LAKE_DB_DIR="elsewhere")
    settings = salvage(sources)
    assert (settings.connections, settings.retry_attempts) == (16, 3)
    assert (settings.credit_cost, settings.db_dir) == (500, Path("elsewhere"))
    assert settings.collect.fold_at == "01:10"
    found = {(one.kind, one.name, one.where.rpartition(" ")[2]) for one in sources.problems}
    assert found == {
        ("value", "connections", "1"),
        ("unknown", "nonsense", "3"),
        ("value", "collect.fold_at", "5"),
        ("unknown", "collect.tickerz", "6"),
        ("value", "credit_cost", "DERIBIT_LAKE_CREDIT_COST"),
    }


def test_a_wrong_variable_does_not_hide_the_file_below_it(written):
    sources = written("connections = 4\n", DERIBIT_LAKE_CONNECTIONS="0")
    assert salvage(sources).connections == 4
    assert len(sources.problems) == 1


def test_a_variable_that_is_no_json_is_taken_out_alone(written):
    text = "[keep]\ndatasets = ['funding']\n[collect]\nkinds = ['index']\n"
    sources = written(text, DERIBIT_LAKE_KEEP__INSTRUMENTS="BTC", DERIBIT_LAKE_COLLECT__KINDS="x")
    settings = salvage(sources)
    assert (settings.keep.datasets, settings.collect.kinds) == (("funding",), ("index",))
    assert [one.where for one in sources.problems] == [
        "variable DERIBIT_LAKE_KEEP__INSTRUMENTS",
        "variable DERIBIT_LAKE_COLLECT__KINDS",
    ]


def test_no_value_of_a_secret_is_repeated(written):
    text = "backup = 'geheim'\n[collect]\nping_url = 'geheim'\n[keep]\npingurl = 'geheim'\n"
    sources = written(text, DERIBIT_LAKE_BACKUP__PING_URL="geheim-2")
    salvage(sources)
    assert len(sources.problems) == 4
    assert "geheim" not in str(sources.problems)


def test_variables_that_are_no_settings_are_strangers(written):
    known = {"DERIBIT_LAKE_ROOT": "a", "DERIBIT_LAKE_TEST_DSN": "b", "OTHER": "c"}
    sources = written("", **known, DERIBIT_LAKE_ROTT="d", deribit_lake_dns="e")
    assert sources.strangers() == ["DERIBIT_LAKE_DNS", "DERIBIT_LAKE_ROTT"]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("DERIBIT_LAKE_ROTT", "DERIBIT_LAKE_ROOT"),
        ("conections", "connections"),
        ("collect.kindz", "collect.kinds"),
        ("kepp", "keep"),
        ("xyzzy", "one of those docs/operations.md lists"),
    ],
)
def test_the_nearest_setting_is_named(name, known):
    assert nearest(name) == known
