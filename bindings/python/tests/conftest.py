"""The paying test server, for every test: `started(...)` starts one in a mode and gives its URL and record."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

import libx402
from libx402 import httpx as under_httpx
from libx402 import httpx2 as under_httpx2

ROOT = Path(__file__).resolve().parents[3]
SERVER = os.environ.get("X402_PAYING_SERVER", str(ROOT / "target" / "debug" / "examples" / "paying_server"))
# The first development account, known to everyone.
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
#: What openai's SDK takes for its HTTP client, with the transport under it; it takes httpx2 from Python 3.10 on.
SYNC: list[Any] = [(httpx.Client, under_httpx.Transport)]
ASYNC: list[Any] = [(httpx.AsyncClient, under_httpx.AsyncTransport)]
WITH_HTTPX2 = sys.version_info >= (3, 10)
if WITH_HTTPX2:
    SYNC.append((httpx2.Client, under_httpx2.Transport))
    ASYNC.append((httpx2.AsyncClient, under_httpx2.AsyncTransport))
#: How long a test waits for what must happen, before it fails.
PATIENCE_S = 20.0


class Paying:
    """A server and what it saw."""

    def __init__(self, *mode: str) -> None:
        self.process = subprocess.Popen([SERVER, *mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = self.process.stdout.readline().split()[1]

    def state(self, now: bool = False) -> Any:
        """The record; without `now`, after what is being served has ended."""
        with urllib.request.urlopen(self.url + "/_server/state" + ("?now" if now else "")) as answer:
            return json.load(answer)

    def await_state(self, **least: int) -> None:
        """Waits until counts of the record are so high."""
        end = time.monotonic() + PATIENCE_S
        while any((state := self.state(now=True))[name] < number for name, number in least.items()):
            assert time.monotonic() < end, f"{least} is not reached: {state}"
            time.sleep(0.005)

    def release(self) -> None:
        urllib.request.urlopen(urllib.request.Request(self.url + "/_server/release", method="POST")).close()

    def stop(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def started(*mode: str) -> Iterator[Paying]:
    server = Paying(*mode)
    yield server
    server.stop()


@pytest.fixture
def openai_server() -> Iterator[Paying]:
    yield from started("--openai")


@pytest.fixture
def server() -> Iterator[Paying]:
    yield from started("--scenario", str(Path(__file__).with_name("scenario.json")))


@pytest.fixture
def client() -> Iterator[libx402.Client]:
    with libx402.Client(wallet=libx402.Wallet().add_evm_key(KEY)) as made:
        yield made


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
