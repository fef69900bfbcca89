"""A headless Chromium that opens a page with no network but loopback, and tells what it made of it.

It is driven by its DevTools protocol over a socket on loopback; nothing but Chromium is needed.
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
START_S, ANSWER_S, DRAWN_S = 30, 60, 60
_FLAGS = (
    "--headless=new", "--remote-debugging-port=0", "--no-first-run", "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-background-networking", "--hide-scrollbars",
)  # fmt: skip
_WEBGL = ("--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--use-gl=angle")
_NO_WEBGL = ("--disable-3d-apis", "--disable-gpu")


@dataclass
class Page:
    """A page in a tab: what it asked for, and what it complained about."""

    socket: ClientConnection
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return what the browser answers to a command, noting what happens meanwhile."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self.socket.recv(timeout=ANSWER_S))
            if told.get("id") == number:
                if "error" in told:
                    raise RuntimeError(method, told["error"])
                answer: dict[str, Any] = told["result"]
                return answer
            self._note(told)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return told["result"].get("value")

    def open(self, page: Path | str, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Open a file, or an address on loopback, in a window and wait until it is drawn."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Page.navigate", url=page if isinstance(page, str) else page.absolute().as_uri())
        until = time.monotonic() + DRAWN_S
        while self.evaluate("document.documentElement.dataset.drawn") != "yes":
            if time.monotonic() > until:
                raise TimeoutError(self.complaints)
            time.sleep(0.1)

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        height = self.evaluate("document.documentElement.scrollHeight")
        width = self.evaluate("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _note(self, told: dict[str, Any]) -> None:
        params = told.get("params", {})
        match told["method"]:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.complaints.append(params["entry"]["text"])
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "assert"}:
                self.complaints.append(str(params["args"]))


@contextmanager
def browsing(*, webgl: bool = True) -> Iterator[Page]:
    """Start a Chromium without network, and stop it in the end; CI never goes without one."""
    if not CHROMIUM:
        told = "no Chromium: apt-get install chromium"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        flags = [*_FLAGS, *(_WEBGL if webgl else _NO_WEBGL), f"--user-data-dir={profile}"]
        flags += ["--no-sandbox"] if os.geteuid() == 0 else []
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen([CHROMIUM, *flags, "about:blank"], **quiet) as process:
            try:
                with connect(_tab(Path(profile)), max_size=None, proxy=None) as socket:
                    yield Page(socket)
            finally:
                process.terminate()
                process.wait(START_S)


def _tab(profile: Path) -> str:
    """Return the address of the one tab."""
    told, until = profile / "DevToolsActivePort", time.monotonic() + START_S
    while not (told.exists() and told.read_text().count("\n")):
        if time.monotonic() > until:
            raise TimeoutError(CHROMIUM)
        time.sleep(0.1)
    port, path = told.read_text().split("\n")[:2]
    with connect(f"ws://127.0.0.1:{port}{path}", proxy=None) as browser:
        browser.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        targets = json.loads(browser.recv(timeout=ANSWER_S))["result"]["targetInfos"]
    (tab,) = (one["targetId"] for one in targets if one["type"] == "page")
    return f"ws://127.0.0.1:{port}/devtools/page/{tab}"
