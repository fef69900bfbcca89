"""Proxies and certificates, as the environment names them: used, or refused in one line.

``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` (http, https, socks5 or socks5h) and ``NO_PROXY``,
whose entries are names, addresses or networks of either version, and ``*``; in small letters they
come first. ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` stand for the certificates that are trusted.
"""

import ipaddress
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from etl.errors import UsageError

if TYPE_CHECKING:
    import httpx

_LOGIN = re.compile(r"^([^/]*//)?.*@")
_IN_BRACKETS = re.compile(r"^\[(.*)\](?::(\d+))?$")
_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ProxyVariable:
    """A proxy, and the variable that names it."""

    name: str
    value: str

    def __str__(self) -> str:
        """Return the variable and its value, without a password."""
        shown = _LOGIN.sub(r"\1***@", self.value)
        return f"{self.name} = {shown!r}"

    def read(self) -> "httpx.Proxy":
        """Return the proxy.

        Raises
        ------
        UsageError
            If the value is none.
        """
        import httpx  # noqa: PLC0415

        try:
            return httpx.Proxy(self.value if "://" in self.value else f"http://{self.value}")
        except (ValueError, httpx.InvalidURL) as error:
            message = f"{self}: no proxy like http://HOST:PORT or socks5://HOST:PORT"
            raise UsageError(message) from error


def proxy_of(url: str, environment: Mapping[str, str]) -> ProxyVariable | None:
    """Return the proxy that an environment names for a host; None where it is asked directly."""
    parts = urlsplit(url)
    names = [f"{parts.scheme}_proxy", f"{parts.scheme}_PROXY".upper(), "all_proxy", "ALL_PROXY"]
    found = next((name for name in names if environment.get(name)), None)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    bypassed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    entries = [entry.strip() for entry in bypassed.split(",") if entry.strip()]
    if found is None or any(_covers(entry, parts.hostname or "", port) for entry in entries):
        return None
    return ProxyVariable(found, environment[found].strip())


def certificates(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Return what hosts prove themselves by.

    Raises
    ------
    UsageError
        If the environment names certificates that are not there.
    """
    import httpx  # noqa: PLC0415

    file, folder = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    if file:
        if not Path(file).is_file():
            message = f"SSL_CERT_FILE = {file!r}: there is no such file"
            raise UsageError(message)
        try:
            return ssl.create_default_context(cafile=file)
        except OSError as error:  # ssl.SSLError is one
            message = f"SSL_CERT_FILE = {file!r}: no certificates can be read from it ({error})"
            raise UsageError(message) from error
    if folder:
        if not any(Path(one).is_dir() for one in folder.split(os.pathsep)):
            message = f"SSL_CERT_DIR = {folder!r}: there is no such folder"
            raise UsageError(message)
        return ssl.create_default_context(capath=folder)
    return httpx.create_ssl_context(trust_env=False)


def way_to(url: str, reason: str, environment: Mapping[str, str]) -> str:
    """Return words on what of the environment lies on the way to a host that did not answer."""
    if proxy := proxy_of(url, environment):
        return f" (through {proxy})"
    trusted = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environment.get(name)]
    if "CERTIFICATE_VERIFY_FAILED" in reason and trusted:
        return f" (trusting {trusted[0]} = {environment[trusted[0]]!r})"
    return ""


def _covers(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of NO_PROXY covers a host."""
    if entry == "*":
        return True
    name, only_port = _split(entry.partition("://")[2] or entry)
    if only_port not in {None, port}:
        return False
    address = _address(host)
    if address is not None:
        network = _network(name)
        return network is not None and address in network
    name = name.lstrip("*").lstrip(".").lower()
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split(entry: str) -> tuple[str, int | None]:
    if found := _IN_BRACKETS.match(entry):
        return found[1], int(found[2]) if found[2] else None
    name, colon, port = entry.rpartition(":")
    if colon and ":" not in name and port.isdecimal():
        return name, int(port)
    return entry.replace("[", "").replace("]", ""), None


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _network(name: str) -> Network | None:
    try:
        return ipaddress.ip_network(name, strict=False)
    except ValueError:
        return None
