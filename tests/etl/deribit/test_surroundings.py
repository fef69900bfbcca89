"""Proxies and certificates of the environment, with a real SOCKS5 server and a real exchange."""

import asyncio
import ssl
import subprocess

import pytest

from etl.config import Settings
from etl.deribit.client import open_client
from etl.deribit.ping import ping
from etl.deribit.surroundings import ProxyVariable, certificates, proxy_of
from etl.errors import UsageError
from tests.acceptance.command import Product
from tests.etl.deribit.socks import Socks5
from tests.exchange.running import running

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
URL = "https://www.deribit.com"
ALL = {"ALL_PROXY": "socks5://127.0.0.1:1080"}


@pytest.fixture(scope="module")
def exchange():
    with running(limits=False) as one:
        yield one


@pytest.fixture
def surroundings(monkeypatch):
    """A function that sets variables, in surroundings without any."""
    for name in [*VARIABLES, *map(str.upper, VARIABLES), "SSL_CERT_FILE", "SSL_CERT_DIR"]:
        monkeypatch.delenv(name, raising=False)

    def set_all(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "HTTPS_PROXY"),
        ({"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "https_proxy"),
        ({"HTTP_PROXY": "http://p:1"}, None),
        (ALL, "ALL_PROXY"),
        (ALL | {"HTTPS_PROXY": "p:1"}, "HTTPS_PROXY"),
        ({"ALL_PROXY": ""}, None),
    ],
)
def test_the_scheme_and_then_all_name_the_proxy(environment, name):
    found = proxy_of(URL, environment)

    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("host", "bypassed", "is_direct"),
    [
        (URL, "deribit.com", True),
        (URL, ".deribit.com", True),
        (URL, "*.deribit.com", True),
        (URL, "https://www.deribit.com", True),
        (URL, "*", True),
        (URL, "www.deribit.com:443", True),
        (URL, "www.deribit.com:80", False),
        (URL, "bit.com", False),
        (URL, "localhost,::1,[::1],fe80::/10,10.0.0.0/8", False),
        (URL, ",, ", False),
        ("http://127.0.0.1:80", "127.0.0.0/8", True),
        ("http://127.0.0.1:80", "128.0.0.0/8", False),
        ("http://[::1]:8080", "::1", True),
        ("http://[::1]:8080", "[::1]", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://[::1]:8080", "[::1]:9090", False),
        ("http://[fe80::17]:8080", "localhost, fe80::/10", True),
        ("http://[fec0::17]:8080", "fe80::/10,[fe90::]/10", False),
        ("http://[::1]:8080", "127.0.0.0/8,localhost", False),
    ],
)
def test_no_proxy_takes_names_addresses_and_networks(host, bypassed, is_direct):
    assert (proxy_of(host, ALL | {"NO_PROXY": bypassed}) is None) is is_direct


@pytest.mark.parametrize(
    "value",
    ["socks4://u:secret@h:1", "http://u:secret@h:bad", "ftp://u:se@cret@h", "u:secret@h:bad"],
)
def test_what_is_no_proxy_is_refused_in_one_line_without_its_password(value):
    with pytest.raises(UsageError) as error:
        ProxyVariable("ALL_PROXY", value).read()

    assert str(error.value).startswith("ALL_PROXY = '")
    assert "***@h" in str(error.value)
    assert "cret" not in str(error.value)


@pytest.mark.parametrize("value", ["socks5://h:1", "socks5h://h:1", "http://h:1", "h:1"])
def test_socks_and_http_proxies_are_read(value):
    assert ProxyVariable("ALL_PROXY", value).read().url.host == "h"


@pytest.mark.parametrize("bypassed", ["", "::1", "[::1]", "localhost,fe80::/10"])
def test_the_exchange_is_asked_through_a_socks5_proxy_with_a_login(
    bypassed, exchange, surroundings
):
    async def asked():
        async with Socks5(login=("u", "secret")).listening() as proxy:
            address = f"socks5://u:secret@127.0.0.1:{proxy.port}"
            surroundings({"ALL_PROXY": address, "NO_PROXY": bypassed})
            return await ping(Settings(host=exchange.url)), proxy.led_to

    found, led_to = asyncio.run(asked())

    assert found["status"] == "ok"
    assert led_to == [exchange.url.removeprefix("http://")]


def through(proxy, exchange, tmp_path, *words):
    """What a command ends with in a process whose surroundings name a proxy, and whom it led."""

    async def asked():
        async with proxy.listening():
            address = f"socks5h://u:secret@127.0.0.1:{proxy.port}"
            settings = (("ALL_PROXY", address), ("NO_PROXY", "[::1],fe80::/10"))
            product = Product(tmp_path / "lake", exchange.url, settings)
            return await asyncio.to_thread(product.run, *words)

    return asyncio.run(asked())


def test_a_proxy_that_lets_nobody_in_is_named_without_its_password(exchange, tmp_path):
    done = through(Socks5(login=("u", "other")), exchange, tmp_path, "ping")

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "(through ALL_PROXY = 'socks5h://***@127.0.0.1:" in last
    assert "secret" not in done.stderr


def test_a_backfill_goes_through_a_proxy_too(exchange, tmp_path):
    proxy = Socks5(login=("u", "secret"))

    done = through(proxy, exchange, tmp_path, "backfill", "perpetuals", "--start", "2025-10-17")

    assert done.returncode == 0, done.stderr
    assert set(proxy.led_to) == {exchange.url.removeprefix("http://")}


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SSL_CERT_FILE", "nowhere.pem", "there is no such file"),
        ("SSL_CERT_FILE", ".", "there is no such file"),
        ("SSL_CERT_FILE", "empty.pem", "no certificates can be read from it"),
        ("SSL_CERT_DIR", "nowhere", "there is no such folder"),
    ],
)
def test_certificates_that_are_not_there_are_named(
    variable, value, told, tmp_path, monkeypatch, surroundings
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.pem").touch()
    surroundings({variable: value})

    async def opened():
        async with open_client(Settings(), stage=lambda *_: None):
            pass

    with pytest.raises(UsageError, match=f"{variable} = '{value}': {told}"):
        asyncio.run(opened())


def test_a_file_of_certificates_is_what_is_trusted(tmp_path):
    key, path = tmp_path / "key.pem", tmp_path / "own.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-subj", "/CN=own", "-keyout", str(key), "-out", str(path)]
    subprocess.run(made, check=True, capture_output=True)

    (own,) = certificates({"SSL_CERT_FILE": str(path)}).get_ca_certs()

    assert own["subject"] == ((("commonName", "own"),),)
    assert isinstance(certificates({}), ssl.SSLContext)
    assert len(certificates({}).get_ca_certs()) > 50
