import pytest

from etl.config import Settings, load_settings
from etl.errors import UsageError


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    """A folder without a configuration file, and an environment without ours."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DERIBIT_LAKE_{name.upper()}", raising=False)


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "deribit-lake.toml"
    path.write_text('root = "from-file"\nconnections = 4\ncredit_cost = 7\n')
    return path


def test_nothing_given_is_the_default():
    settings = load_settings()

    assert (str(settings.root), settings.base_url) == ("data", "https://www.deribit.com")
    assert settings.connections == 16


def test_flags_win_over_environment_over_file_over_defaults(toml, monkeypatch):
    monkeypatch.setenv("DERIBIT_LAKE_ROOT", "from-environment")
    monkeypatch.setenv("DERIBIT_LAKE_CONNECTIONS", "5")

    settings = load_settings(root="from-flag", connections=None)

    assert str(settings.root) == "from-flag"
    assert settings.connections == 5
    assert settings.credit_cost == 7
    assert settings.retry_attempts == 12
    assert toml.exists()


def test_a_file_that_is_named_is_read_in_place_of_the_usual_one(toml, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text("connections = 2\n")

    settings = load_settings(other)

    assert (settings.connections, str(settings.root)) == (2, "data")
    assert toml.exists()


def test_a_file_that_is_named_must_be_there(tmp_path):
    with pytest.raises(UsageError, match=r"no configuration file .*none\.toml"):
        load_settings(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"connections": 33}, "setting connections = 33: "),
        ({"connections": "many"}, "setting connections = 'many': "),
        ({"credit_refill": 0}, "setting credit_refill = 0: "),
        ({"host": "deribit"}, "setting host = 'deribit': "),
        ({"host": "ftp://deribit.com"}, "setting host = 'ftp://deribit.com': "),
        ({"colour": "red"}, "setting colour: there is no such setting"),
    ],
)
def test_a_bad_value_is_one_line_naming_it(flags, message):
    with pytest.raises(UsageError) as caught:
        load_settings(**flags)

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_bad_value_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("DERIBIT_LAKE_CONNECTIONS", "0")

    with pytest.raises(UsageError, match="setting connections = '0': "):
        load_settings()


def test_an_unknown_key_in_the_file_is_refused(toml):
    toml.write_text("conections = 4\n")

    with pytest.raises(
        UsageError, match="setting conections: there is no such setting; nearest: connections"
    ):
        load_settings()


@pytest.mark.parametrize("text", ["connections = ", "[[", "\x00"])
def test_a_file_that_is_no_toml_is_named(toml, text):
    toml.write_text(text)

    with pytest.raises(UsageError, match=r"deribit-lake\.toml is not valid TOML"):
        load_settings()


@pytest.mark.parametrize("host", ["http://127.0.0.1:8000", "http://127.0.0.1:8000/"])
def test_a_host_may_end_in_a_slash(host):
    assert load_settings(host=host).base_url == "http://127.0.0.1:8000"


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().connections = 1


def test_the_address_of_a_check_is_a_secret_even_when_it_is_none(monkeypatch):
    monkeypatch.setenv("DERIBIT_LAKE_COLLECT__PING_URL", "ftp://ping.example/5bf66975")
    with pytest.raises(UsageError, match=r"setting collect\.ping_url = \*\*\*: ") as told:
        load_settings()
    assert "5bf66975" not in str(told.value)


@pytest.mark.parametrize("name", ["DERIBIT_LAKE_KEEP__INSTRUMENTS", "DERIBIT_LAKE_COLLECT"])
def test_a_list_of_the_environment_that_is_no_json_is_named(monkeypatch, name):
    monkeypatch.setenv("DERIBIT_LAKE_HOST", "BTC-PERPETUAL")
    monkeypatch.setenv(name, "BTC-PERPETUAL")
    with pytest.raises(UsageError, match=rf"^{name} is no JSON: a list is written \["):
        load_settings()


def test_of_a_word_that_is_no_setting_the_value_is_not_shown(monkeypatch):
    monkeypatch.setenv("DERIBIT_LAKE_KEEP__PING", "https://hc-ping.com/5bf66975")
    with pytest.raises(UsageError, match=r"keep\.ping: no such setting, .* ping_url") as told:
        load_settings()
    assert "5bf66975" not in str(told.value)


@pytest.mark.parametrize("root", ["s3://key:swordfish@bucket/x", "https://key:swordfish@host/x"])
def test_a_key_in_the_address_of_a_lake_is_not_shown(monkeypatch, root):
    monkeypatch.setenv("DERIBIT_LAKE_ROOT", root)
    with pytest.raises(UsageError, match=r"expected s3://bucket/prefix") as caught:
        load_settings()
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize("told", ["store", "ftp://store", "http://key:swordfish@store:99999"])
def test_an_endpoint_of_the_environment_that_is_none_is_refused(monkeypatch, told):
    monkeypatch.setenv("AWS_ENDPOINT_URL", told)
    with pytest.raises(UsageError, match=r"^AWS_ENDPOINT_URL is no address") as caught:
        load_settings(root="s3://bucket/x").place  # noqa: B018  (it reads the environment)
    assert "swordfish" not in str(caught.value)
